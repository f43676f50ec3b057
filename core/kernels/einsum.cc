// Einsum: both operands are brought into the order [batch, rows, columns], multiplied as matrices by whatever
// kernel does that best, and the product is brought into the order that is asked for. Where an operand or the
// result has that order already, nothing is copied.
//
//   "bqhd,bkhd->bhqk":  [b h | q | d] * [b h | d | k] = [b h | q | k]
//
// A label that only one operand has and the result has not is summed over as if the other operand were
// repeated along it.
#include <algorithm>
#include <array>
#include <optional>

#include "core/base/einsum.h"
#include "core/kernels/strided_copy.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

using Labels = std::vector<Label>;

bool has(const Labels& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// Dimensions in the order of their labels, some lists of labels one after another.
class Layout {
 public:
  Layout(const std::map<Label, std::int64_t>& sizes, std::initializer_list<const Labels*> groups) {
    for (const Labels* group : groups) labels_.insert(labels_.end(), group->begin(), group->end());
    for (const Label label : labels_) sizes_.push_back(sizes.at(label));
  }
  const Labels& labels() const { return labels_; }
  const std::vector<std::int64_t>& sizes() const { return sizes_; }
  // Strides of a tensor that has this layout.
  std::vector<std::int64_t> strides() const {
    std::vector<std::int64_t> strides(sizes_.size());
    std::int64_t step = 1;
    for (std::size_t d = sizes_.size(); d-- > 0; step *= sizes_[d]) strides[d] = step;
    return strides;
  }
  // How far apart elements along these dimensions are in a tensor whose own dimensions have `labels`: a
  // repeated label walks its diagonal, a missing one or one to broadcast stays where it is.
  std::vector<std::int64_t> strides_in(const Labels& labels, const Shape& shape) const {
    std::vector<std::int64_t> strides(labels_.size(), 0);
    std::int64_t step = 1;
    for (int d = shape.rank() - 1; d >= 0; step *= shape[d--]) {
      if (shape[d] == 1) continue;
      const auto at = std::find(labels_.begin(), labels_.end(), labels[std::size_t(d)]);
      strides[std::size_t(at - labels_.begin())] += step;
    }
    return strides;
  }
  // Whether elements with these strides are in this layout already.
  bool is(const std::vector<std::int64_t>& from) const {
    const auto own = strides();
    for (std::size_t d = 0; d < own.size(); ++d) {
      if (sizes_[d] != 1 && own[d] != from[d]) return false;
    }
    return true;
  }

 private:
  Labels labels_;
  std::vector<std::int64_t> sizes_;
};

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Memory of an operand in another order; none if it is there as it is.
struct Packing {
  std::optional<StridedCopy> copy;
  bool transposed = false;
  std::size_t at = 0;  // in the scratch memory
};

// The operand as [batch, rows, columns], or as [batch, columns, rows] if it lies so and may be `transposed`.
Packing pack(DType dtype, const std::map<Label, std::int64_t>& sizes, const Labels& labels,
             const Shape& shape, const Labels& batch, const Labels& rows, const Labels& columns,
             std::size_t& scratch) {
  const Layout wanted(sizes, {&batch, &rows, &columns}), other(sizes, {&batch, &columns, &rows});
  const auto strides = wanted.strides_in(labels, shape);
  if (wanted.is(strides)) return {};
  if (other.is(other.strides_in(labels, shape)) && !is_complex(dtype))
    return {.copy = {}, .transposed = true};
  Packing packing{StridedCopy(dtype, wanted.sizes(), strides, wanted.strides()), false, scratch};
  scratch += aligned(std::size_t(checked_mul(Shape(wanted.sizes()).size(), std::int64_t(size_of(dtype)))));
  return packing;
}

// The product of matrices, or of batches of them, by the kernel that is best at it.
struct Product {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();  // its kernel may refer to its node
  std::unique_ptr<Kernel> kernel;
  std::array<ValueType, 2> types;
  std::size_t scratch_bytes = 0;

  Product(PrepareContext& c, DType dtype, const Shape& a, const Shape& b, bool transpose_a,
          bool transpose_b) {
    types = {ValueType{dtype, a}, ValueType{dtype, b}};
    std::vector<Output> inputs;
    for (const ValueType& type : types) {
      Node& input = graph->add(find_op("Placeholder"), {.name = inputs.empty() ? "a" : "b",
                                                        .inputs = {},
                                                        .attrs = {{"dtype", dtype}, {"shape", type.shape}}});
      inputs.push_back(input.output(0));
    }
    const bool is_batch = a.rank() == 3;
    Node& node = graph->add(find_op(is_batch ? "BatchMatMulV2" : "MatMul"),
                            {.name = c.node().name(),
                             .inputs = inputs,
                             .attrs = {{is_batch ? "adj_x" : "transpose_a", transpose_a},
                                       {is_batch ? "adj_y" : "transpose_b", transpose_b}}});
    PrepareContext::Environment environment{c.resources(), c.own_resources(), {}};
    PrepareContext context(node, {types.begin(), types.end()}, {nullptr, nullptr},
                           {{dtype, node.output(0).shape()}}, environment);
    kernel = prepare(context);
    scratch_bytes = context.scratch_bytes();
  }

  void run(RunContext& r, const void* a, const void* b, void* product, void* scratch) const {
    std::array<Slot, 3> slots{Slot{const_cast<void*>(a), {}}, Slot{const_cast<void*>(b), {}},
                              Slot{product, {}}};
    static constexpr std::array<int, 2> kInputs{0, 1};
    static constexpr std::array<int, 1> kOutputs{2};
    RunContext inner(slots.data(), kInputs, kOutputs, types, {}, scratch, r.step());
    kernel->run(inner);
  }
};

std::unique_ptr<Kernel> prepare_einsum(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  const std::string& equation = c.attr<std::string>("equation");
  std::vector<Shape> shapes;
  for (int i = 0; i < c.num_inputs(); ++i) shapes.push_back(c.input_shape(i));
  EinsumLabels labels = parse_einsum(equation, shapes);
  const auto sizes = einsum_sizes(equation, labels, shapes);
  const Layout result(sizes, {&labels.output});
  const bool is_single = shapes.size() == 1;
  if (is_single) {  // times one
    labels.inputs.emplace_back();
    shapes.emplace_back();
  }
  const Labels &a = labels.inputs[0], &b = labels.inputs[1];
  Labels batch, rows, columns, summed;
  for (const Label label : labels.output) {
    (has(a, label) && has(b, label) ? batch : has(a, label) ? rows : columns).push_back(label);
  }
  for (const Labels* operand : {&a, &b}) {
    for (const Label label : *operand) {
      if (!has(labels.output, label) && !has(summed, label)) summed.push_back(label);
    }
  }
  if (is_single && summed.empty()) {
    const StridedCopy copy(dtype, result.sizes(), result.strides_in(a, shapes[0]), result.strides());
    return kernel([copy](RunContext& r) { copy.run(r.input<void>(0), r.output<void>(0)); });
  }

  std::size_t scratch = 0;
  const Packing first = pack(dtype, sizes, a, shapes[0], batch, rows, summed, scratch);
  const Packing second = pack(dtype, sizes, b, shapes[1], batch, summed, columns, scratch);
  const auto count = [&](const Labels& group) { return Shape(Layout(sizes, {&group}).sizes()).size(); };
  const std::int64_t k = count(summed), m = count(rows), n = count(columns);
  const auto shape = [&](std::int64_t height, std::int64_t width, bool transposed) {
    const Shape matrix = transposed ? Shape{width, height} : Shape{height, width};
    return batch.empty() ? matrix : Shape{count(batch)}.concat(matrix);
  };
  auto product =
      std::make_shared<Product>(c, dtype, shape(m, k, first.transposed), shape(k, n, second.transposed),
                                first.transposed, second.transposed);

  const Layout made(sizes, {&batch, &rows, &columns});
  std::optional<StridedCopy> unpack;
  const std::size_t product_at = scratch;
  const auto from = result.strides_in(made.labels(), Shape(made.sizes()));
  if (!result.is(from)) {
    unpack.emplace(dtype, result.sizes(), from, result.strides());
    scratch += aligned(std::size_t(checked_mul(Shape(made.sizes()).size(), std::int64_t(size_of(dtype)))));
  }
  const std::size_t inner_at = scratch;
  c.scratch(scratch + product->scratch_bytes);
  Tensor one;
  if (is_single) {
    one = Tensor(dtype, Shape());
    visit(NumericTypes{}, dtype, [&]<class T>(std::type_identity<T>) { *one.data<T>() = T(1); });
  }
  return kernel([=](RunContext& r) {
    char* memory = static_cast<char*>(r.scratch());
    const auto packed = [&](const Packing& packing, const void* operand) -> const void* {
      if (!packing.copy) return operand;
      packing.copy->run(operand, memory + packing.at);
      return memory + packing.at;
    };
    const void* left = packed(first, r.input<void>(0));
    const void* right = packed(second, is_single ? one.raw() : r.input<void>(1));
    product->run(r, left, right, unpack ? memory + product_at : r.output<void>(0), memory + inner_at);
    if (unpack) unpack->run(memory + product_at, r.output<void>(0));
  });
}

}  // namespace

HEADRACE_KERNELS(einsum) { add_kernel("Einsum", prepare_einsum); }

}  // namespace headrace
