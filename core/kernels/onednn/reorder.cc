#include "core/kernels/onednn/reorder.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

#include "core/base/parallel.h"

namespace headrace::onednn {

// A plain layout and a blocked one, and how the one is gone through row by row: a row is all elements along
// the dimension that is dense in the plain layout.
struct Reorder::Rows {
  struct Dimension {
    std::int64_t size, plain, outer, block, inner;  // strides in elements
  };
  bool pack;                          // from plain to blocked
  std::size_t width;                  // bytes of an element
  std::int64_t length, run, apart;    // of a row; elements of it in a run, and from run to run in the blocked
  std::vector<Dimension> dimensions;  // the others, the outermost of the plain layout first
  std::int64_t rows;
  std::size_t bytes;  // of the blocked layout
  bool padded;        // in another dimension than the row's

  static std::optional<Rows> of(const memory::desc& from, const memory::desc& to) {
    const bool pack = to.get_inner_nblks() > 0;
    const memory::desc &plain = pack ? from : to, &blocked = pack ? to : from;
    if (plain.get_inner_nblks() != 0 || blocked.get_inner_nblks() == 0 ||
        plain.get_data_type() != blocked.get_data_type() || plain.get_dims() != blocked.get_dims()) {
      return {};
    }
    const memory::dims dims = plain.get_dims(), strides = plain.get_strides();
    const memory::dims outer = blocked.get_strides(), padded = blocked.get_padded_dims();
    const memory::dims blocks = blocked.get_inner_blks(), of = blocked.get_inner_idxs();
    const auto along = std::size_t(of.back());
    constexpr std::int64_t kShortest = 16;
    if (strides[along] != 1 || blocks.back() < kShortest) return {};
    std::vector<std::int64_t> block(dims.size(), 1), inner(dims.size(), 0);
    std::int64_t step = 1;
    for (std::size_t i = blocks.size(); i-- > 0; step *= blocks[i]) {
      const auto d = std::size_t(of[i]);
      if (block[d] != 1) return {};  // cut twice
      block[d] = blocks[i];
      inner[d] = step;
    }
    Rows made;
    made.pack = pack;
    made.width = plain.get_size() /
                 std::size_t(std::max<std::int64_t>(
                     1, std::accumulate(dims.begin(), dims.end(), std::int64_t(1), std::multiplies<>())));
    made.length = dims[along];
    made.run = block[along];
    made.apart = outer[along];
    made.rows = 1;
    made.padded = false;
    made.bytes = blocked.get_size();
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (d == along) continue;
      made.dimensions.push_back({dims[d], strides[d], outer[d], block[d], inner[d]});
      made.rows *= dims[d];
      made.padded |= padded[d] != dims[d];
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

Reorder::Reorder(const memory::desc& from, const memory::desc& to) {
  if (auto rows = Rows::of(from, to)) {
    rows_ = std::make_shared<const Rows>(std::move(*rows));
    return;
  }
  const Team team(time_of(0, double(from.get_size() + to.get_size())));
  const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to);
  primitive_ = Primitive(dnnl::reorder(pd), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

void Reorder::run(const void* from, void* to) const {
  if (rows_) return rows_->run_all(static_cast<const char*>(from), static_cast<char*>(to));
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
