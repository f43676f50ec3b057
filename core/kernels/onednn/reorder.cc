#include "core/kernels/onednn/reorder.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/base/parallel.h"
#include "core/kernels/strided_copy.h"

namespace headrace::onednn {

// A plain layout and one whose dimensions are cut into blocks, each once at most.
struct Reorder::Cut {
  struct Dimension {
    std::int64_t size, plain, outer, block, inner;  // strides in elements
  };
  bool pack;                          // from plain to blocked
  std::size_t width;                  // bytes of an element
  std::vector<Dimension> dimensions;  // in the library's order
  std::size_t innermost;              // the dimension whose block is dense in the blocked layout

  static std::optional<Cut> of(const memory::desc& from, const memory::desc& to) {
    const bool pack = to.get_inner_nblks() > 0;
    const memory::desc &plain = pack ? from : to, &blocked = pack ? to : from;
    if (plain.get_inner_nblks() != 0 || blocked.get_inner_nblks() == 0 ||
        plain.get_data_type() != blocked.get_data_type() || plain.get_dims() != blocked.get_dims()) {
      return {};
    }
    const memory::dims dims = plain.get_dims(), strides = plain.get_strides();
    const memory::dims outer = blocked.get_strides(), padded = blocked.get_padded_dims();
    const memory::dims blocks = blocked.get_inner_blks(), of = blocked.get_inner_idxs();
    Cut made{pack, memory::data_type_size(plain.get_data_type()), {}, std::size_t(of.back())};
    for (std::size_t d = 0; d < dims.size(); ++d)
      made.dimensions.push_back({dims[d], strides[d], outer[d], 1, 0});
    std::int64_t step = 1;
    for (std::size_t i = blocks.size(); i-- > 0; step *= blocks[i]) {
      Dimension& cut = made.dimensions[std::size_t(of[i])];
      if (cut.block != 1) return {};  // cut twice
      cut.block = blocks[i];
      cut.inner = step;
    }
    for (std::size_t d = 0; d < dims.size(); ++d) {
      const Dimension& one = made.dimensions[d];
      if (padded[d] != (one.size + one.block - 1) / one.block * one.block) return {};
    }
    return made;
  }
};

// How the two layouts are gone through row by row: a row is all elements along the dimension that is dense in
// both.
struct Reorder::Rows {
  using Dimension = Cut::Dimension;
  bool pack;
  std::size_t width;
  std::int64_t length, run, apart;    // of a row; elements of it in a run, and from run to run in the blocked
  std::vector<Dimension> dimensions;  // the others, the outermost of the plain layout first
  std::int64_t rows;
  std::size_t bytes;  // of the blocked layout
  bool padded;        // in another dimension than the row's

  static std::optional<Rows> of(const Cut& cut, std::size_t bytes) {
    const Dimension& along = cut.dimensions[cut.innermost];
    constexpr std::int64_t kShortest = 16;
    if (along.plain != 1 || along.block < kShortest) return {};
    Rows made{cut.pack, cut.width, along.size, along.block, along.outer, {}, 1, bytes, false};
    for (std::size_t d = 0; d < cut.dimensions.size(); ++d) {
      if (d == cut.innermost) continue;
      const Dimension& other = made.dimensions.emplace_back(cut.dimensions[d]);
      made.rows *= other.size;
      made.padded |= other.size % other.block != 0;
    }
    std::sort(made.dimensions.begin(), made.dimensions.end(),
              [](const Dimension& a, const Dimension& b) { return a.plain > b.plain; });
    return made;
  }

  // Where row `number` begins in the plain layout and in the blocked one.
  std::pair<std::int64_t, std::int64_t> begin(std::int64_t number) const {
    std::int64_t plain = 0, blocked = 0;
    for (auto d = dimensions.rbegin(); d != dimensions.rend(); ++d) {
      const std::int64_t i = number % d->size;
      number /= d->size;
      plain += i * d->plain;
      blocked += i / d->block * d->outer + i % d->block * d->inner;
    }
    return {plain, blocked};
  }

  // Copies a row; `bytes` of a whole run, which the compiler knows for the usual ones.
  template <class Bytes>
  void copy(const char* from, char* to, Bytes bytes) const {
    const std::int64_t whole = length / run, rest = length % run;
    const std::int64_t next = apart * std::int64_t(width);
    char* packed = pack ? to : const_cast<char*>(from);
    char* plain = pack ? const_cast<char*>(from) : to;
    for (std::int64_t i = 0; i < whole; ++i, packed += next, plain += bytes) {
      pack ? std::memcpy(packed, plain, bytes) : std::memcpy(plain, packed, bytes);
    }
    if (rest == 0) return;
    const std::size_t used = std::size_t(rest) * width;
    if (!pack) {
      std::memcpy(plain, packed, used);
    } else {
      std::memcpy(packed, plain, used);
      std::memset(packed + used, 0, bytes - used);  // the library reads what it pads with
    }
  }

  void run_all(const char* from, char* to) const {
    if (pack && padded) std::memset(to, 0, bytes);
    const std::size_t bytes_of_run = std::size_t(run) * width;
    parallel_for(rows, 0.1 * double(length) * double(width), [&](std::int64_t first, std::int64_t last) {
      for (auto row = first; row < last; ++row) {
        const auto [plain, blocked] = begin(row);
        const char* source = from + (pack ? plain : blocked) * std::int64_t(width);
        char* target = to + (pack ? blocked : plain) * std::int64_t(width);
        switch (bytes_of_run) {
          case 64:
            copy(source, target, std::integral_constant<std::size_t, 64>());
            break;
          case 128:
            copy(source, target, std::integral_constant<std::size_t, 128>());
            break;
          case 192:
            copy(source, target, std::integral_constant<std::size_t, 192>());
            break;
          case 256:
            copy(source, target, std::integral_constant<std::size_t, 256>());
            break;
          default:
            copy(source, target, bytes_of_run);
        }
      }
    });
  }
};

// The same as copies of boxes: along each dimension the whole blocks, what is left over of it, and zeros that
// fill the last block up.
struct Reorder::Boxes {
  struct Box {
    StridedCopy copy;
    std::int64_t from, to;  // where it begins, in elements
    bool zeros;
  };
  std::vector<Box> boxes;

  explicit Boxes(const Cut& cut) : cut_(cut) { add(0); }

  void run(const void* from, void* to) const {
    static constexpr std::uint64_t kZero = 0;
    for (const Box& box : boxes) box.copy.run(box.zeros ? &kZero : from, box.from, to, box.to);
  }

 private:
  using Dims = std::vector<std::int64_t>;

  // Boxes of all dimensions from d on, given what was chosen of those before.
  void add(std::size_t d) {
    if (d == cut_.dimensions.size()) {
      const Dims nowhere(sizes_.size(), 0);
      const Dims& plain = zeros_ ? nowhere : plain_;
      const DType dtype = cut_.width == 4 ? DType::uint32 : DType::uint16;
      const std::int64_t at = zeros_ ? 0 : plain_at_;
      boxes.push_back({StridedCopy(dtype, sizes_, cut_.pack ? plain : blocked_, cut_.pack ? blocked_ : plain),
                       cut_.pack ? at : blocked_at_, cut_.pack ? blocked_at_ : at, zeros_ > 0});
      return;
    }
    const Cut::Dimension& one = cut_.dimensions[d];
    const std::int64_t whole = one.size / one.block, rest = one.size % one.block;
    if (whole > 0) {
      push(whole, one.block * one.plain, one.outer);
      push(one.block, one.plain, one.inner);
      add(d + 1);
      pop(), pop();
    }
    if (rest == 0) return;
    plain_at_ += whole * one.block * one.plain;
    blocked_at_ += whole * one.outer;
    push(rest, one.plain, one.inner);
    add(d + 1);
    pop();
    if (cut_.pack) {  // the library reads what it pads with
      blocked_at_ += rest * one.inner;
      push(one.block - rest, 0, one.inner);
      ++zeros_;
      add(d + 1);
      --zeros_;
      pop();
      blocked_at_ -= rest * one.inner;
    }
    plain_at_ -= whole * one.block * one.plain;
    blocked_at_ -= whole * one.outer;
  }
  void push(std::int64_t size, std::int64_t plain, std::int64_t blocked) {
    sizes_.push_back(size), plain_.push_back(plain), blocked_.push_back(blocked);
  }
  void pop() { sizes_.pop_back(), plain_.pop_back(), blocked_.pop_back(); }

  const Cut cut_;
  Dims sizes_, plain_, blocked_;
  std::int64_t plain_at_ = 0, blocked_at_ = 0;
  int zeros_ = 0;  // how many of the dimensions are in what fills up
};

Reorder::Reorder(const memory::desc& from, const memory::desc& to) {
  if (const auto cut = Cut::of(from, to); cut && (cut->width == 4 || cut->width == 2)) {
    if (auto rows = Rows::of(*cut, (cut->pack ? to : from).get_size())) {
      rows_ = std::make_shared<const Rows>(std::move(*rows));
    } else {
      boxes_ = std::make_shared<const Boxes>(*cut);
    }
    return;
  }
  const Team team(time_of(0, double(from.get_size() + to.get_size())));
  const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to);
  primitive_ = Primitive(dnnl::reorder(pd), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

void Reorder::run(const void* from, void* to) const {
  if (rows_) return rows_->run_all(static_cast<const char*>(from), static_cast<char*>(to));
  if (boxes_) return boxes_->run(from, to);
  primitive_.run({from, to});
}

namespace {

// The layout in words, alike for layouts that are alike.
std::string name_of(const memory::desc& desc) {
  std::string name = std::to_string(int(desc.get_data_type()));
  for (const memory::dims& list : {desc.get_dims(), desc.get_padded_dims(), desc.get_strides(),
                                   desc.get_inner_blks(), desc.get_inner_idxs()}) {
    name += '/';
    for (const auto one : list) name += ' ' + std::to_string(one);
  }
  return name;
}

}  // namespace

Operand::Operand(PrepareContext& c, int index, const memory::desc& plain, const memory::desc& wanted,
                 Scratch& scratch, bool read_often)
    : index_(index) {
  if (plain == wanted) return;
  const Reorder convert(plain, wanted);
  if (const Tensor* value = c.constant(index)) {
    constant_ = Tensor(DType::uint8, Shape{std::int64_t(wanted.get_size())});
    convert.run(value->raw(), constant_.raw());
  } else {
    reorder_ = convert;
    bytes_ = wanted.get_size();
    shared_ = read_often && c.share(index, name_of(plain) + " as " + name_of(wanted), bytes_);
    if (shared_) return;
    offset_ = scratch.add(bytes_);
    kept_ = std::make_shared<Kept>();
  }
}

Operand::Value Operand::get(RunContext& r) const {
  if (constant_) return {constant_.raw()};
  const void* data = r.input<void>(index_);
  if (!reorder_) return {data};
  if (shared_) {
    const SharedMemory shared = r.shared();
    if (!shared.filled) reorder_.run(data, shared.data);
    return {shared.data};
  }
  const std::uint64_t version = r.version(index_);
  bool keep = false;
  {
    std::lock_guard lock(kept_->mutex);
    if (version != 0 && version == kept_->version) return {kept_->copy.raw(), kept_->copy};
    keep = version != 0 && version == std::exchange(kept_->last, version);
    if (!keep) kept_->copy = Tensor(), kept_->version = 0;
  }
  if (!keep) {
    void* own = static_cast<char*>(r.scratch()) + offset_;
    reorder_.run(data, own);
    return {own};
  }
  Tensor copy(DType::uint8, Shape{std::int64_t(bytes_)});
  reorder_.run(data, copy.raw());
  std::lock_guard lock(kept_->mutex);
  kept_->copy = copy;
  kept_->version = version;
  return {copy.raw(), std::move(copy)};
}

}  // namespace headrace::onednn
