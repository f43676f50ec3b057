#include "core/kernels/tape_kernel.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "core/base/parallel.h"

namespace headrace {
namespace {

// What the values of one block take together: most of a first-level cache, or somewhat more where there are
// many, since shorter loops cost more than the second level does.
constexpr std::int64_t kCacheBytes = 24 << 10;
constexpr std::int64_t kLeastBlock = 1024, kMostBlock = 2048;  // elements
constexpr std::int64_t kLeastRun = 128;                        // elements that are worth a block of their own
constexpr double kNsPerByte = 0.04;  // of memory traffic, to judge what threads are worth
constexpr double kNsPerCall = 8;
// Tapes that touch more memory than this fetch the next block into the second-level cache while they work on
// one in the first: loops that take so many times as long as the memory leave that idle otherwise.
constexpr double kFetchesAhead = 1 << 20;  // bytes
constexpr double kLong = 4;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

void fill(std::size_t width, std::byte* to, const std::byte* value, std::int64_t count) {
  vector::tables().repeat(int(width), 1, count, value, to);
}

// Drops dimensions of size one and joins those that every operand steps through evenly.
void collapse(Program& program) {
  auto& [places, calls, dims] = program;
  const auto has_strides = [](const Place& place) { return place.kind != Place::reg; };
  std::vector<std::int64_t> kept;
  std::vector<std::vector<std::int64_t>> strides(places.size());
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    bool joins = !kept.empty();
    for (std::size_t k = 0; k < places.size() && joins; ++k) {
      joins = !has_strides(places[k]) || strides[k].back() == places[k].strides[d] * dims[d];
    }
    if (!joins) kept.push_back(1);
    kept.back() *= dims[d];
    for (std::size_t k = 0; k < places.size(); ++k) {
      if (!has_strides(places[k])) continue;
      if (joins) strides[k].pop_back();
      strides[k].push_back(places[k].strides[d]);
    }
  }
  dims = std::move(kept);
  for (std::size_t k = 0; k < places.size(); ++k) places[k].strides = std::move(strides[k]);
}

// The first element of an input, a number (which no call writes to) or an output.
std::byte* first_of(const Place& place, RunContext& r) {
  const std::byte* data = place.kind == Place::output  ? r.output<std::byte>(place.index)
                          : place.kind == Place::input ? r.input<std::byte>(place.index)
                                                       : place.value.data();
  return const_cast<std::byte*>(data) + place.begin * std::int64_t(place.width);
}

// One loop over neighbours, which needs no blocks. All that it looks at stands together, since many a small
// one is run after the other.
class FlatTape final : public Kernel {
 public:
  static bool takes(const Program& program) {
    return program.dims.size() <= 1 && program.calls.size() == 1 &&
           std::ranges::all_of(program.places, [&](const Place& place) {
             return place.scalar ||
                    (place.kind != Place::reg && (program.dims.empty() || place.strides[0] == 1));
           });
  }
  explicit FlatTape(const Program& program) : call_(program.calls[0]) {
    if (!program.dims.empty()) elements_ = program.dims[0];
    double traffic = 0;
    const auto take = [&](int place, int at) {
      const Place& from = program.places[std::size_t(place)];
      const auto width = std::int64_t(from.width), step = from.scalar ? 0 : width;
      places_[at] = {from.kind == Place::number ? -1 : from.index, int(step), from.begin * width, from.value};
      traffic += double(step) * kNsPerByte;
    };
    for (int k = 0; k < call_.operands; ++k) take(call_.from[std::size_t(k)], k);
    take(call_.to, kTo);
    call_.from = {0, 1, 2};
    call_.to = kTo;
    cost_ = std::max(call_.cost, traffic);
  }

  void run(RunContext& r) override {
    std::array<std::byte*, kTo + 1> first{};
    for (int k = 0; k < call_.operands; ++k) {
      const Run& place = places_[k];  // no call writes to it
      first[std::size_t(k)] = const_cast<std::byte*>(
          place.index < 0 ? place.value.data() : r.input<std::byte>(place.index) + place.begin);
    }
    first[kTo] = r.output<std::byte>(places_[kTo].index) + places_[kTo].begin;
    parallel_for(elements_, cost_, [&](std::int64_t begin, std::int64_t end) {
      std::array<std::byte*, kTo + 1> at = first;
      for (std::size_t k = 0; k <= kTo; ++k) at[k] += begin * places_[k].step;
      call_(end - begin, at.data());
    });
  }

 private:
  static constexpr int kTo = 3;  // after the operands
  struct Run {
    int index = -1;  // of the input or the output; -1 for a number
    int step = 0;    // bytes
    std::int64_t begin = 0;
    std::array<std::byte, 8> value{};
  };
  std::array<Run, kTo + 1> places_;
  Call call_;
  std::int64_t elements_ = 1;
  double cost_ = 0;
};

// Everything but how the elements are cut.
class TapeKernel : public Kernel {
 protected:
  explicit TapeKernel(Program program)
      : places(std::move(program.places)), calls(std::move(program.calls)), dims(std::move(program.dims)) {
    double elements = 1, traffic = 0, loops = 0;
    for (const std::int64_t size : dims) elements *= double(size);
    for (const Place& place : places) {
      widest_ = std::max(widest_, place.width);
      traffic += streams(place) ? double(place.width) * elements : 0;
    }
    for (const Call& call : calls) loops += call.cost * elements;
    fetches_ahead_ = traffic > kFetchesAhead && loops > kLong * traffic * kNsPerByte;
    allocate_registers();
  }

  // A thread's, kept from run to run, so that it stays in the cache.
  struct ThreadMemory {
    BufferRef buffer;
    std::vector<std::byte*> first, at;       // where each place is, first and now
    std::vector<const std::byte*> shown;     // what is expanded, not to do it again
    std::vector<std::int64_t> shown_counts;  // and of how many elements
  };
  std::byte* open(ThreadMemory& memory) const {
    if (!memory.buffer || memory.buffer->bytes() < thread_bytes_)
      memory.buffer = BufferRef::allocate(std::max(thread_bytes_, kAlignment));
    auto* own = static_cast<std::byte*>(memory.buffer->data());
    memory.first.assign(places.size(), nullptr);
    memory.at.assign(places.size(), nullptr);
    memory.shown.assign(places.size(), nullptr);
    for (std::size_t k = 0; k < places.size(); ++k) memory.at[k] = own + places[k].offset;
    return own;
  }

  // Bytes of a thread's memory: where they begin.
  std::size_t take(std::size_t bytes) { return std::exchange(thread_bytes_, thread_bytes_ + aligned(bytes)); }
  // Gives registers their memory, for blocks of this many elements.
  void place_registers(std::int64_t elements) {
    const std::size_t bytes = aligned(std::size_t(elements) * widest_);
    thread_bytes_ = std::size_t(registers_) * bytes;
    for (Place& place : places) {
      if (place.kind == Place::reg && !place.by_row) place.offset *= bytes;
    }
  }

  // Has an element in memory for each of the tape's.
  static bool streams(const Place& place) {
    if (place.by_row || place.scalar) return false;
    return place.kind == Place::output ||
           (place.kind == Place::input && std::ranges::count(place.strides, 0) == 0);
  }

  std::int64_t block_size() const {
    std::int64_t bytes = registers_ * std::int64_t(widest_);
    for (const Place& place : places) {
      if (place.kind != Place::reg && !place.scalar) bytes += std::int64_t(place.width);
    }
    const std::int64_t elements = kCacheBytes / std::max<std::int64_t>(bytes, 1);
    return std::clamp(elements / 64 * 64, kLeastBlock, kMostBlock);
  }

  // A part of what is needed next, before each call, since few lines can be on their way at once.
  void fetch_part(std::size_t call, const std::byte* next, std::int64_t bytes) const {
    constexpr std::int64_t kLine = 64;
    constexpr int kToRead = 0, kSecondLevel = 2;
    const auto i = std::int64_t(call), parts = std::int64_t(calls.size());
    for (std::int64_t line = bytes * i / parts / kLine; line < bytes * (i + 1) / parts / kLine; ++line)
      __builtin_prefetch(next + kLine * line, kToRead, kSecondLevel);
  }

  std::vector<Place> places;
  std::vector<Call> calls;
  std::vector<std::int64_t> dims;
  std::size_t widest_ = 1, thread_bytes_ = 0;
  int registers_ = 0;
  bool fetches_ahead_ = false;

 private:
  // Gives registers numbers (in `offset`, for now), as few as possible.
  void allocate_registers() {
    std::vector<int> free;
    std::vector<bool> held_now(places.size(), false);
    for (int i = 0; i < int(calls.size()); ++i) {
      const Call& call = calls[std::size_t(i)];
      // A loop may write over what it reads.
      for (int k = 0; k < call.operands; ++k) {
        const int from = call.from[std::size_t(k)];
        Place& place = places[std::size_t(from)];
        if (place.kind != Place::reg || place.by_row || place.last != i || !held_now[std::size_t(from)])
          continue;
        held_now[std::size_t(from)] = false;
        if (place.width == places[std::size_t(call.to)].width) {
          free.push_back(int(place.offset));
        } else {
          later_.push_back(int(place.offset));  // elements of another width would overtake each other
        }
      }
      Place& to = places[std::size_t(call.to)];
      if (to.kind == Place::reg && !to.by_row && !held_now[std::size_t(call.to)]) {
        if (free.empty()) {
          to.offset = std::size_t(registers_++);
        } else {
          to.offset = std::size_t(free.back());
          free.pop_back();
        }
        held_now[std::size_t(call.to)] = true;
        if (to.last <= i) {  // nobody reads it
          held_now[std::size_t(call.to)] = false;
          later_.push_back(int(to.offset));
        }
      }
      free.insert(free.end(), later_.begin(), later_.end());
      later_.clear();
    }
  }

  std::vector<int> later_;
};

// Blocks of neighbours.
class BlockTape final : public TapeKernel {
 public:
  explicit BlockTape(Program program) : TapeKernel(std::move(program)) {
    const std::int64_t most = block_size();
    split_ = int(dims.size());
    inner_ = 1;
    const auto breaks = [&](Place::Kind kind, int d) {  // a box of this kind is not contiguous along d, too
      return std::any_of(places.begin(), places.end(), [&](const Place& place) {
        return place.is_box && place.kind == kind && place.strides[std::size_t(d)] != inner_;
      });
    };
    while (split_ > 0 && inner_ * dims[std::size_t(split_ - 1)] <= most && !breaks(Place::output, split_ - 1))
      inner_ *= dims[std::size_t(--split_)];
    if (split_ == 0) {  // one block: make room for a dimension to split
      dims.insert(dims.begin(), 1);
      for (auto& place : places) place.strides.insert(place.strides.begin(), 0);
    } else {
      --split_;
    }
    // Boxes are written where they stand, one run of neighbours after the other, and read so as well; only
    // inputs with short runs are gathered first.
    const std::int64_t size = dims[std::size_t(split_)];
    const bool by_runs =
        breaks(Place::output, split_) || (inner_ >= kLeastRun && breaks(Place::input, split_));
    segments_ = by_runs ? size : (size + most / inner_ - 1) / (most / inner_);
    rows_ = (size + segments_ - 1) / segments_;
    segments_ = (size + rows_ - 1) / rows_;
    blocks_ = segments_;
    for (int d = 0; d < split_; ++d) blocks_ *= dims[std::size_t(d)];

    double traffic = 0;
    place_registers(rows_ * inner_);
    for (auto& place : places) {
      if (place.kind == Place::input) place.direct = is_direct(place);
      if (place.direct || place.kind == Place::output) traffic += double(place.width) * kNsPerByte;
      if (place.direct || place.scalar || (place.kind != Place::input && place.kind != Place::number))
        continue;
      place.offset = take(std::size_t(rows_ * inner_) * place.width);
    }
    for (std::size_t k = 0; k < places.size(); ++k) {
      const Place& place = places[k];
      if (place.kind == Place::reg) continue;
      moving_.push_back({k, place.strides[std::size_t(split_)] * std::int64_t(place.width),
                         place.kind != Place::output && !place.direct && !place.scalar});
    }
    double loops = 0;
    for (const Call& call : calls) loops += call.cost;
    cost_ = std::max(loops, traffic) * double(rows_ * inner_) + kNsPerCall * double(calls.size());
  }

  void run(RunContext& r) override {
    parallel_for(blocks_, cost_, [&](std::int64_t begin, std::int64_t end) { run_blocks(r, begin, end); });
  }

 private:
  bool is_direct(const Place& place) const {
    std::int64_t expected = 1;
    for (int d = int(dims.size()) - 1; d >= split_; --d) {
      if (d == split_ && rows_ == 1) break;
      if (dims[std::size_t(d)] != 1 && place.strides[std::size_t(d)] != expected) return false;
      expected *= dims[std::size_t(d)];
    }
    return true;
  }

  // Copies the elements of a block, `rows` steps of dimension `split_`, one after the other.
  void expand(const Place& place, const std::byte* from, std::int64_t rows, std::byte* to) const {
    const int last = int(dims.size()) - 1;
    const auto width = std::int64_t(place.width);
    const auto copy = [&](auto& self, int d, const std::byte* at) -> void {
      const std::int64_t count = d == split_ ? rows : dims[std::size_t(d)],
                         stride = place.strides[std::size_t(d)];
      if (d < last) {
        for (std::int64_t i = 0; i < count; ++i) self(self, d + 1, at + i * stride * width);
        return;
      }
      if (stride == 0) {
        fill(place.width, to, at, count);
      } else {
        std::memcpy(to, at, std::size_t(count * width));
      }
      to += count * width;
    };
    copy(copy, split_, from);
  }

  void run_blocks(RunContext& r, std::int64_t begin, std::int64_t end) const {
    thread_local ThreadMemory memory;
    auto& at = memory.at;
    auto& shown = memory.shown;
    open(memory);
    for (const Moving& one : moving_) memory.first[one.place] = first_of(places[one.place], r);
    std::int64_t shown_rows = 0;
    const std::int64_t size = dims[std::size_t(split_)];
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t before = block / segments_, row = block % segments_ * rows_;
      const std::int64_t rows = std::min(rows_, size - row);
      for (const Moving& one : moving_) {
        const Place& place = places[one.place];
        std::byte* now = memory.first[one.place] + row * one.step;
        std::int64_t index = before;
        for (int d = split_ - 1; index > 0; --d) {
          now += index % dims[std::size_t(d)] * place.strides[std::size_t(d)] * std::int64_t(place.width);
          index /= dims[std::size_t(d)];
        }
        if (!one.expands) {
          at[one.place] = now;
        } else if (now != shown[one.place] || rows > shown_rows) {
          expand(place, now, rows, at[one.place]);
          shown[one.place] = now;
        }
      }
      shown_rows = std::max(shown_rows, rows);
      const std::int64_t count = rows * inner_;
      if (!fetches_ahead_) {
        for (const Call& call : calls) call(count, at.data());
        continue;
      }
      for (std::size_t i = 0; i < calls.size(); ++i) {
        for (const Moving& one : moving_) {
          const Place& place = places[one.place];
          if (!place.direct && place.kind != Place::output) continue;
          const std::int64_t bytes = count * std::int64_t(place.width);
          fetch_part(i, at[one.place] + bytes, bytes);
        }
        calls[i](count, at.data());
      }
    }
  }

  struct Moving {  // a place that is elsewhere for each block
    std::size_t place;
    std::int64_t step;  // bytes, for a row
    bool expands;
  };
  std::vector<Moving> moving_;
  int split_ = 0;
  std::int64_t inner_ = 1, rows_ = 1, segments_ = 1, blocks_ = 1;
  double cost_ = 0;
};

// Rows of `width` elements: some of them at a time, or a part of one. Where there are reductions at the end,
// a task is what they make one partial result of.
class RowTape final : public TapeKernel {
 public:
  RowTape(PrepareContext& c, Program program, std::int64_t width, std::vector<Tail> tails)
      : TapeKernel(std::move(program)), width_(width) {
    for (const std::int64_t size : dims) all_rows_ *= size;
    all_rows_ /= width_;
    for (std::int64_t rows = 1; rows < all_rows_; ++prefix_) rows *= dims[prefix_];
    for (const Place& place : places) steps_.push_back(steps_of(place));
    std::size_t scratch = 0;
    for (const Tail& tail : tails) {
      Ending ending{tail, {tail.reducer, tail.width, tail.outer, tail.rows, tail.inner}};
      ending.partials = std::exchange(scratch, scratch + ending.by.scratch_bytes());
      if (is_16_bit_float(tail.dtype)) {
        ending.rounds = tail.dtype == DType::float16 ? vector::tables().half_of_float
                                                     : vector::tables().bfloat16_of_float;
        ending.total = std::exchange(scratch, scratch + aligned(ending.by.output_bytes()));
      }
      endings_.push_back(std::move(ending));
    }
    c.scratch(scratch);
    cut();
    place_all();
    estimate();
  }

  void run(RunContext& r) override {
    parallel_for(tasks_, cost_, [&](std::int64_t begin, std::int64_t end) { run_tasks(r, begin, end); });
    for (const Ending& ending : endings_) {
      const Tail& tail = ending.tail;
      std::byte* total = total_of(ending, r);
      const std::int64_t results = tail.outer * tail.inner;
      ending.by.join(scratch(r) + ending.partials, total);
      if (tail.reducer.finish) tail.reducer.finish(results, total, double(tail.rows));
      if (ending.rounds) ending.rounds(results, total, r.output<void>(tail.output));
    }
  }

 private:
  struct Steps {
    std::int64_t row = 0, column = 0;  // elements from one to the next
    bool even = true;                  // these are the same everywhere
  };
  struct Ending {
    Tail tail;
    BlockedReduction by;
    std::size_t partials = 0, total = 0;  // in scratch memory; the latter if they are rounded in the end
    vector::Unary rounds = nullptr;
    std::size_t lanes = 0;  // in the thread's memory
  };
  struct Block {
    std::int64_t row, rows, column, columns;
    std::int64_t count() const { return rows * columns; }
  };

  static std::byte* scratch(RunContext& r) { return static_cast<std::byte*>(r.scratch()); }
  static std::byte* total_of(const Ending& ending, RunContext& r) {
    return ending.rounds ? scratch(r) + ending.total : r.output<std::byte>(ending.tail.output);
  }

  // ---- how it is cut

  // The step between neighbours along dimensions [begin, end) as if they were one, if that is always the
  // same.
  std::optional<std::int64_t> step(const Place& place, std::size_t begin, std::size_t end) const {
    std::optional<std::int64_t> innermost;
    std::int64_t size = 1;
    for (std::size_t d = end; d-- > begin;) {
      if (dims[d] == 1) continue;
      if (!innermost) innermost = place.strides[d];
      if (place.strides[d] != *innermost * size) return std::nullopt;
      size *= dims[d];
    }
    return innermost.value_or(0);
  }
  Steps steps_of(const Place& place) const {
    if (place.kind == Place::reg || place.kind == Place::gathered) return {};
    const auto row = step(place, 0, prefix_);
    const auto column = place.by_row ? std::optional<std::int64_t>(0) : step(place, prefix_, dims.size());
    if (!row || !column || *column < 0 || *column > 1) return {0, 0, false};
    return {*row, *column, true};
  }
  // An element for each of the tape's, as they stand there.
  bool is_dense(std::size_t k) const {
    return (places[k].kind == Place::input || places[k].kind == Place::output) && !places[k].by_row &&
           steps_[k].even && steps_[k].column == 1 && (steps_[k].row == width_ || all_rows_ == 1);
  }

  void cut() {
    const std::int64_t most = block_size();
    const bool by_row = std::any_of(places.begin(), places.end(), [](auto& place) { return place.by_row; });
    const BlockedReduction* by = endings_.empty() ? nullptr : &endings_[0].by;
    in_parts_ = by && endings_[0].tail.inner == 1;
    if (in_parts_) {
      columns_ = std::min(most, kMostInRow);
      tasks_ = all_rows_ * by->blocks();
      return;
    }
    if (by_row || width_ <= most) {
      columns_ = width_;
      rows_ = std::max<std::int64_t>(most / width_, 1);
    } else {
      segments_ = (width_ + most - 1) / most;
      columns_ = ((width_ + segments_ - 1) / segments_ + 15) / 16 * 16;
      segments_ = (width_ + columns_ - 1) / columns_;
    }
    if (!by) {
      rows_ = std::min(rows_, all_rows_);
      tasks_ = (all_rows_ + rows_ - 1) / rows_;
      return;
    }
    const std::int64_t group = by->group();
    if (rows_ >= group) {
      rows_ -= rows_ % group;
    } else {
      while (group % rows_ != 0) --rows_;
      every_ = group / rows_;
    }
    tasks_ = endings_[0].tail.outer * by->blocks() * segments_;
  }

  void place_all() {
    place_registers(rows_ * columns_);
    for (Place& place : places) {
      const auto elements = std::size_t(place.by_row ? rows_ : rows_ * columns_);
      if (place.kind == Place::output || place.scalar || (place.kind == Place::reg && !place.by_row))
        continue;
      const std::size_t blocks = place.kind != Place::gathered ? 1
                                 : in_parts_ ? std::size_t((kMostInRow + columns_ - 1) / columns_)
                                             : std::size_t(every_);
      place.offset = take(blocks * elements * place.width);
    }
    for (Ending& ending : endings_) {
      if (!in_parts_) ending.lanes = take(std::size_t(ending.by.lane_count() * columns_) * ending.tail.width);
    }
  }

  void estimate() {
    double traffic = 0, loops = 0;
    for (std::size_t k = 0; k < places.size(); ++k) traffic += is_dense(k) ? double(places[k].width) : 0;
    for (const Call& call : calls) loops += call.by_row ? 0 : call.cost;
    const double elements = double(all_rows_) * double(width_), blocks = elements / double(rows_ * columns_);
    const double calls_cost = kNsPerCall * double(calls.size()) * blocks;
    cost_ = (std::max(loops, traffic * kNsPerByte) * elements + calls_cost) / double(tasks_);
  }

  // ---- runs

  void run_tasks(RunContext& r, std::int64_t begin, std::int64_t end) const {
    thread_local ThreadMemory memory;
    std::byte* own = open(memory);
    memory.shown_counts.assign(places.size(), 0);
    for (std::int64_t task = begin; task < end; ++task) {
      if (endings_.empty()) {
        const std::int64_t row = task * rows_;
        run_block(r, memory, {row, std::min(rows_, all_rows_ - row), 0, width_}, 0);
      } else if (in_parts_) {
        sum_part(r, memory, own, task);
      } else {
        sum_columns(r, memory, own, task);
      }
    }
  }

  // A partial result of one row.
  void sum_part(RunContext& r, ThreadMemory& memory, std::byte* own, std::int64_t task) const {
    const std::int64_t blocks = endings_[0].by.blocks(), row = task / blocks;
    const std::int64_t begin = task % blocks * kMostInRow;
    const std::int64_t end = blocks > 1 ? std::min(begin + kMostInRow, width_) : width_;
    for (std::int64_t column = begin; column < end; column += columns_)
      run_block(r, memory, {row, 1, column, std::min(columns_, end - column)}, column - begin);
    for (const Ending& ending : endings_) {
      ending.by.row(end - begin, operand(r, own, ending, row, begin), partial(r, ending, task));
    }
  }

  // A partial result of some columns.
  void sum_columns(RunContext& r, ThreadMemory& memory, std::byte* own, std::int64_t task) const {
    const BlockedReduction& by = endings_[0].by;
    const std::int64_t which = task / segments_, column = task % segments_ * columns_;
    const std::int64_t columns = std::min(columns_, width_ - column), rows = endings_[0].tail.rows;
    const std::int64_t first = which / by.blocks() * rows, in_outer = which % by.blocks() * by.block_rows();
    const std::int64_t begin = first + in_outer;
    const std::int64_t end =
        by.blocks() > 1 ? first + std::min(in_outer + by.block_rows(), rows) : first + rows;
    std::int64_t added = begin, waiting = 0;
    for (std::int64_t row = begin; row < end; row += rows_) {
      const Block block{row, std::min(rows_, end - row), column, columns};
      run_block(r, memory, block, waiting * rows_ * columns);
      const std::int64_t now = row + block.rows;
      if (++waiting < every_ && now < end) continue;
      for (const Ending& ending : endings_) {
        const bool gathered = places[std::size_t(ending.tail.place)].kind == Place::gathered;
        ending.by.add(now - added, columns, gathered ? columns : width_,
                      operand(r, own, ending, added, column), own + ending.lanes, added == begin);
      }
      added = now;
      waiting = 0;
    }
    for (const Ending& ending : endings_) {
      ending.by.close(columns, own + ending.lanes, partial(r, ending, which * width_ + column));
    }
  }

  // What is reduced, from an element on: where it stands, or where it was gathered.
  const std::byte* operand(RunContext& r, const std::byte* own, const Ending& ending, std::int64_t row,
                           std::int64_t column) const {
    const Place& place = places[std::size_t(ending.tail.place)];
    if (place.kind == Place::gathered) return own + place.offset;
    const std::byte* data =
        place.kind == Place::input ? r.input<std::byte>(place.index) : r.output<std::byte>(place.index);
    return data + std::size_t(place.begin + row * width_ + column) * place.width;
  }
  std::byte* partial(RunContext& r, const Ending& ending, std::int64_t element) const {
    std::byte* all = ending.by.blocks() > 1 ? scratch(r) + ending.partials : total_of(ending, r);
    return all + std::size_t(element) * ending.tail.width;
  }

  // `waiting`: the elements gathered before it.
  void run_block(RunContext& r, ThreadMemory& memory, const Block& block, std::int64_t waiting) const {
    auto& at = memory.at;
    for (std::size_t k = 0; k < places.size(); ++k) {
      const Place& place = places[k];
      if (place.kind == Place::reg) continue;
      if (place.kind == Place::gathered) {
        at[k] = static_cast<std::byte*>(memory.buffer->data()) + place.offset +
                std::size_t(waiting) * place.width;
      } else if (place.kind == Place::output) {
        const std::int64_t element = place.by_row ? block.row : block.row * width_ + block.column;
        at[k] = r.output<std::byte>(place.index) + std::size_t(element) * place.width;
      } else {
        at[k] = read(r, memory, k, block);
      }
    }
    if (!fetches_ahead_) {
      for (const Call& call : calls) run_call(call, block, at.data());
      return;
    }
    const std::int64_t ahead = segments_ > 1 ? width_ : block.count();
    for (std::size_t i = 0; i < calls.size(); ++i) {
      for (std::size_t k = 0; k < places.size(); ++k) {
        if (!is_dense(k)) continue;
        const auto width = std::int64_t(places[k].width);
        fetch_part(i, at[k] + ahead * width, block.count() * width);
      }
      run_call(calls[i], block, at.data());
    }
  }

  void run_call(const Call& call, const Block& block, std::byte* const* at) const {
    switch (call.kind) {
      case Call::elements:
        return call(call.by_row ? block.rows : block.count(), at);
      case Call::reduce: {
        const std::byte* from = at[call.from[0]];
        std::byte* to = at[call.to];
        for (std::int64_t i = 0; i < block.rows; ++i) {
          call.reducer.first->row(width_, from + std::size_t(i * width_) * call.width,
                                  to + std::size_t(i) * call.width);
        }
        if (call.reducer.finish) call.reducer.finish(block.rows, to, double(width_));
        return;
      }
      case Call::repeat:
        return vector::tables().repeat(int(call.width), block.rows, width_, at[call.from[0]], at[call.to]);
    }
  }

  // Where a block of an input or a number is, expanded if need be.
  std::byte* read(RunContext& r, ThreadMemory& memory, std::size_t k, const Block& block) const {
    const Place& place = places[k];
    const Steps& steps = steps_[k];
    const std::byte* data = first_of(place, r);
    std::byte* own = static_cast<std::byte*>(memory.buffer->data()) + place.offset;
    const std::int64_t count = place.by_row ? block.rows : block.count();
    if (!steps.even) {
      const std::int64_t first = place.by_row ? block.row : block.row * width_ + block.column;
      expand(place, data, first, count, place.by_row ? prefix_ : dims.size(), own);
      return own;
    }
    const std::byte* from =
        data + (block.row * steps.row + block.column * steps.column) * std::int64_t(place.width);
    const bool direct = place.by_row ? steps.row == 1 || block.rows == 1
                                     : steps.column == 1 && (steps.row == width_ || block.rows == 1);
    if (direct || place.scalar) return const_cast<std::byte*>(from);  // no call writes to it
    if (from == memory.shown[k] && count <= memory.shown_counts[k]) return own;
    memory.shown[k] = from;
    memory.shown_counts[k] = count;
    if (place.by_row) {
      for (std::int64_t i = 0; i < block.rows; ++i)
        std::memcpy(own + std::size_t(i) * place.width, from + i * steps.row * std::int64_t(place.width),
                    place.width);
      return own;
    }
    const std::size_t bytes = std::size_t(block.columns) * place.width;
    for (std::int64_t i = 0; i < block.rows; ++i) {
      const std::byte* row = from + i * steps.row * std::int64_t(place.width);
      std::byte* to = own + std::size_t(i) * bytes;
      if (steps.column == 0) {
        fill(place.width, to, row, block.columns);
      } else {
        std::memcpy(to, row, bytes);
      }
    }
    return own;
  }

  // Copies `count` elements from a position on in the order of the first dimensions.
  void expand(const Place& place, const std::byte* from, std::int64_t position, std::int64_t count,
              std::size_t depth, std::byte* to) const {
    const auto width = std::int64_t(place.width);
    const std::int64_t size = dims[depth - 1], stride = place.strides[depth - 1];
    while (count > 0) {
      std::int64_t offset = 0, rest = position;
      for (std::size_t d = depth; d-- > 0; rest /= dims[d]) offset += rest % dims[d] * place.strides[d];
      const std::int64_t run = std::min(size - position % size, count);
      const std::byte* at = from + offset * width;
      if (stride == 0) {
        fill(place.width, to, at, run);
      } else if (stride == 1) {
        std::memcpy(to, at, std::size_t(run * width));
      } else {
        for (std::int64_t i = 0; i < run; ++i)
          std::memcpy(to + i * width, at + i * stride * width, place.width);
      }
      to += run * width;
      position += run;
      count -= run;
    }
  }

  std::int64_t width_, all_rows_ = 1;
  std::size_t prefix_ = 0;  // dimensions of rows
  std::vector<Steps> steps_;
  std::vector<Ending> endings_;
  // A block: `rows_` whole rows, or `columns_` of one, which has that many `segments_`, or which is summed in
  // parts of kMostInRow elements.
  std::int64_t rows_ = 1, columns_ = 1, segments_ = 1, tasks_ = 1;
  std::int64_t every_ = 1;  // blocks that are gathered before they are summed
  bool in_parts_ = false;
  double cost_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> run_by_blocks(Program program) {
  collapse(program);
  if (FlatTape::takes(program)) return std::make_unique<FlatTape>(program);
  return std::make_unique<BlockTape>(std::move(program));
}

std::unique_ptr<Kernel> run_by_rows(PrepareContext& c, Program program, std::int64_t width,
                                    std::vector<Tail> tails) {
  return std::make_unique<RowTape>(c, std::move(program), width, std::move(tails));
}

}  // namespace headrace
