// What an operation is: its inputs, outputs, attributes, traits and shape rule. The instances are in
// core/ops/.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph/attr.h"

namespace headrace {

class Node;
class ShapeContext;

// What passes, plans and executors may know about an operation. They ask for these, never for a name.
enum class Trait : std::uint32_t {
  stateful = 1 << 0,  // has a side effect or reads state: never folded, merged or removed while it is needed
  blocking = 1 << 1,  // may wait for another step: runs off the compute lanes
  elementwise = 1 << 2,   // each output element depends on the input elements at the same (broadcast) place
  commutative = 1 << 3,   // the order of its two inputs does not matter
  alias = 1 << 4,         // output 0 is input 0's memory, perhaps under another shape
  identity = 1 << 5,      // output 0 is input 0, value and shape
  involution = 1 << 6,    // f(f(x)) = x
  idempotent = 1 << 7,    // f(f(x)) = f(x)
  constant = 1 << 8,      // its value is its attribute "value"
  argument = 1 << 9,      // stands for a value that comes from outside the function
  no_gradient = 1 << 10,  // not differentiable by nature (integer-valued, state handling...)
  post_operation = 1 << 11,  // may be done to the values of an input by whoever makes them, before it stores
                             // them; its other inputs are given for each element, each channel, or once
  matrix_product = 1 << 12,  // output 0 is input 0 times input 1, with attributes transpose_a, transpose_b
  sum = 1 << 13,             // output 0 is the sum of all inputs, which have its shape
  joins = 1 << 14,  // output 0 is all inputs but the last, joined along the axis that the last one tells
  cuts = 1 << 15,   // the outputs are input 0, cut into pieces along the axis that the last input tells
  calls = 1 << 16,  // its last inputs go to one of the functions that its attributes name, whose results are
                    // its outputs
  loop = 1 << 17,   // its function "body" makes new values of its inputs for as long as "cond" of them is
                    // true; the last ones are its outputs
};

// One input or output, written "name: type": a dtype ("x: float32"), a type attribute ("x: T"), N of one type
// ("xs: N * T"), or a list with a type each ("xs: Tlist", where Tlist is a list(type) attribute).
struct ArgDef {
  std::string name;
  DType dtype = DType::invalid;  // where it is fixed
  std::string type_attr = {};    // "type" or "list(type)" attribute, else empty
  std::string number_attr = {};  // "int" attribute with the length, else empty
  bool is_type_list = false;     // type_attr is a list(type)
  bool is_list() const { return is_type_list || !number_attr.empty(); }
};

// One attribute, written "name: type", "name: type >= 1", "name: {float32, int32}" (a dtype out of these),
// "name: {'SAME', 'VALID'}" (a string out of these), each optionally followed by "= default".
struct AttrDef {
  std::string name;
  std::string type = {};
  std::optional<Attr> default_value = {};
  std::vector<DType> allowed_dtypes = {};         // any if empty
  std::vector<std::string> allowed_strings = {};  // any if empty
  std::optional<std::int64_t> minimum = {};       // of an int, or of a list's length
};

using ShapeRule = std::function<void(ShapeContext&)>;

// Built by chained calls, in the order in which one reads it:
//   op("MatMul").in("a: T", "b: T").out("product: T").attr("transpose_a: bool = false")...
//       .shape(matmul_shape).doc("...");
class OpDef {
 public:
  explicit OpDef(std::string name) : name_(std::move(name)) {}

  template <class... Text>
  OpDef& in(const Text&... args) {
    return (add_input(args), ..., *this);
  }
  template <class... Text>
  OpDef& out(const Text&... args) {
    return (add_output(args), ..., *this);
  }
  template <class... Text>
  OpDef& attr(const Text&... attrs) {
    return (add_attr(attrs), ..., *this);
  }
  template <class... Traits>
  OpDef& traits(Traits... traits) {
    return ((traits_ |= std::uint32_t(traits)), ..., *this);
  }
  // f(x, e) = x, and f(e, x) = x too if it is commutative: 0 for a sum, 1 for a product or a quotient.
  OpDef& neutral(double element) { return neutral_ = element, *this; }
  // The same inputs, outputs, attributes and shapes under another name, with no traits: what it computes may
  // differ.
  OpDef renamed(std::string name) const {
    OpDef copy = *this;
    copy.name_ = std::move(name);
    copy.traits_ = 0;
    return copy;
  }
  // The operation that does the same and then post-operations (define_fused of registry/ops.h).
  OpDef& fused_as(std::string name) { return fused_as_ = std::move(name), *this; }
  OpDef& shape(ShapeRule rule) { return shape_rule_ = std::move(rule), *this; }
  OpDef& doc(std::string text) { return doc_ = std::move(text), *this; }

  const std::string& name() const { return name_; }
  std::span<const ArgDef> inputs() const { return inputs_; }
  std::span<const ArgDef> outputs() const { return outputs_; }
  std::span<const AttrDef> attrs() const { return attrs_; }
  const AttrDef* find_attr(std::string_view name) const;
  bool has(Trait trait) const { return traits_ & std::uint32_t(trait); }
  std::optional<double> neutral() const { return neutral_; }
  const std::string& fused_as() const { return fused_as_; }  // empty if there is none
  const ShapeRule& shape_rule() const { return shape_rule_; }
  const std::string& doc() const { return doc_; }

 private:
  void add_input(std::string_view text);
  void add_output(std::string_view text);
  void add_attr(std::string_view text);

  std::string name_, fused_as_;
  std::vector<ArgDef> inputs_, outputs_;
  std::vector<AttrDef> attrs_;
  std::uint32_t traits_ = 0;
  std::optional<double> neutral_;
  ShapeRule shape_rule_;
  std::string doc_;
};

// The value of a small int32/int64 tensor (rank 0 or 1) as far as it is known: an element may be
// kUnknownValue.
using PartialInts = std::vector<std::int64_t>;
inline constexpr std::int64_t kUnknownValue = INT64_MIN;
inline constexpr std::int64_t kMaxPartialInts = 256;

// What a shape rule sees and says. Rules run on partial shapes when a node is made, and again with all the
// shapes that are known by then when a plan is specialised. A rule throws (require, invalid) with the bare
// message; the caller adds the node and the user's line.
class ShapeContext {
 public:
  // `values[i]` is the constant value of input i or nullptr, `ints[i]` its partial value or nullptr.
  ShapeContext(const Node& node, std::vector<Shape> inputs, std::vector<const Tensor*> values,
               std::vector<const PartialInts*> ints);

  const Node& node() const { return node_; }
  int num_inputs() const { return int(inputs_.size()); }
  int num_outputs() const { return int(outputs_.size()); }
  const Shape& input(int i) const { return inputs_.at(i); }
  DType input_dtype(int i) const;
  // Attributes: attr<std::int64_t>("axis"), attr<std::vector<std::int64_t>>("strides"),
  // attr<std::string>("padding").
  template <class T>
  const T& attr(std::string_view name) const;

  // The constant value of input i, or nullptr. Asking notes that the output shapes want this value: if they
  // come out incomplete, the plan cuts here and asks again once the value is known.
  const Tensor* value(int i);
  // The same for small integer tensors, element by element: kUnknownValue where an element is not known.
  std::optional<PartialInts> ints(int i);
  // A scalar integer value.
  std::optional<std::int64_t> int_value(int i);
  // Reads input i as a shape: -1 elements and unknown ones become unknown dimensions.
  Shape shape_value(int i);

  // Throws unless input i has this rank (or an unknown one); returns the input with the rank filled in.
  Shape with_rank(int i, int rank) const;
  Shape with_rank_at_least(int i, int rank) const;

  void output(int i, Shape shape) { outputs_.at(i) = std::move(shape); }
  // What is known of the value of integer output i.
  void output_ints(int i, PartialInts values);

  std::span<Shape> outputs() { return outputs_; }
  std::span<std::optional<PartialInts>> outputs_ints() { return output_ints_; }
  // Which inputs' values were asked for and were not (wholly) known.
  const std::vector<bool>& wanted() const { return wanted_; }

 private:
  const Node& node_;
  std::vector<Shape> inputs_, outputs_;
  std::vector<const Tensor*> values_;
  std::vector<const PartialInts*> ints_;
  std::vector<std::optional<PartialInts>> output_ints_;
  std::vector<bool> wanted_;
};

// Shape rules that many operations share. Families have their own beside their definitions.
void scalar_shape(ShapeContext& c);     // every output is a scalar
void same_shape(ShapeContext& c);       // output 0 has input 0's shape
void merged_shape(ShapeContext& c);     // output 0 has the shape that all inputs must share
void broadcast_shape(ShapeContext& c);  // output 0 is inputs 0 and 1 broadcast
void unknown_shape(ShapeContext& c);    // depends on data
void no_outputs(ShapeContext& c);

}  // namespace headrace
