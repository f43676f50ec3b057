// Definitions of the operations on variables.
#include <algorithm>

#include "core/graph/handle.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kNumber =
    "dtype: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8, uint16, uint32, uint64, "
    "complex64, complex128}";
constexpr const char* kIndex = "Tindices: {int32, int64}";

// The static shape of the variable behind input 0, once its dtype is known to be the one that is asked for.
Shape variable_shape(const ShapeContext& c, std::string_view dtype_attr = "dtype") {
  const HandleType type = handle_type(c.node().input(0));
  if (!dtype_attr.empty() && type.dtype != DType::invalid) {
    const DType dtype = c.attr<DType>(dtype_attr);
    if (type.dtype != dtype) {
      throw DTypeError(str("the variable is ", name_of(type.dtype), ", this operation was made for ",
                           name_of(dtype), "; cast one to the other"));
    }
  }
  return type.shape;
}

void handle_shape(ShapeContext& c) { c.output(0, Shape()); }

void read_shape(ShapeContext& c) { c.output(0, variable_shape(c)); }

void assign_shape(ShapeContext& c) {
  const Shape variable = variable_shape(c);
  require(variable.compatible_with(c.input(1)), "the value has shape ", c.input(1), ", the variable ",
          variable, "; reshape the value, or make the variable with validate_shape=False");
}

void variable_shape_shape(ShapeContext& c) {
  const Shape variable = variable_shape(c, "");
  c.output(0, Shape{variable.has_rank() ? variable.rank() : kUnknown});
  if (!variable.has_rank()) return;
  PartialInts known;
  for (std::int64_t size : variable.dims()) known.push_back(size == kUnknown ? kUnknownValue : size);
  c.output_ints(0, std::move(known));
}

void gather_shape(ShapeContext& c) {
  const Shape variable = variable_shape(c);
  const int batch = int(c.attr<std::int64_t>("batch_dims"));
  require(batch >= 0, "batch_dims is ", batch, "; it must not be negative");
  const Shape indices = c.with_rank_at_least(1, batch);
  if (!variable.has_rank() || !indices.has_rank()) return c.output(0, Shape::unknown());
  require(variable.rank() > batch, "the variable has shape ", variable, "; a gather with batch_dims ", batch,
          " needs a rank of at least ", batch + 1);
  const Shape heads = variable.slice(0, batch).merge(indices.slice(0, batch));
  c.output(0, heads.concat(indices.slice(batch)).concat(variable.slice(batch + 1)));
}

// Where an N-dimensional index points to: the last dimension of the indices is how many leading dimensions of
// the variable one index selects from.
void check_nd(const Shape& variable, const Shape& indices) {
  require(indices.rank() != 0, "indices is a scalar; it must be at least a vector");
  if (!variable.has_rank() || indices.dim(-1) == kUnknown) return;
  require(indices.dim(-1) <= variable.rank(), "indices has shape ", indices, ", so one index has ",
          indices.dim(-1), " numbers, but the variable has shape ", variable,
          "; an index may have at most as many numbers as the variable has dimensions");
}

void gather_nd_shape(ShapeContext& c) {
  const Shape variable = variable_shape(c);
  const Shape& indices = c.input(1);
  if (!indices.has_rank()) return c.output(0, Shape::unknown());
  check_nd(variable, indices);
  if (!variable.has_rank() || indices.dim(-1) == kUnknown) return c.output(0, Shape::unknown());
  c.output(0, indices.slice(0, -1).concat(variable.slice(int(indices.dim(-1)))));
}

void scatter_shape(ShapeContext& c) {
  const Shape variable = variable_shape(c);
  const Shape &indices = c.input(1), &updates = c.input(2);
  require(!variable.has_rank() || variable.rank() > 0, "the variable is a scalar; it has no rows to update");
  if (updates.rank() == 0 || !variable.has_rank() || !indices.has_rank()) return;
  const Shape expected = indices.concat(variable.slice(1));
  require(updates.compatible_with(expected), "updates has shape ", updates, "; with indices of shape ",
          indices, " and a variable of shape ", variable, " it must be a scalar or have shape ", expected);
}

void scatter_nd_shape(ShapeContext& c) {
  const Shape variable = variable_shape(c, "T");
  const Shape &indices = c.input(1), &updates = c.input(2);
  if (!indices.has_rank()) return;
  check_nd(variable, indices);
  if (!variable.has_rank() || indices.dim(-1) == kUnknown) return;
  const Shape expected = indices.slice(0, -1).concat(variable.slice(int(indices.dim(-1))));
  require(updates.compatible_with(expected), "updates has shape ", updates, "; with indices of shape ",
          indices, " and a variable of shape ", variable, " it must have shape ", expected);
}

void slice_assign_shape(ShapeContext& c) {
  variable_shape(c, "T");
  for (int i = 1; i <= 3; ++i) c.with_rank(i, 1);
}

void count_shape(ShapeContext& c) {
  const Shape variable = variable_shape(c, "T");
  require(variable.compatible_with(Shape()), "the variable has shape ", variable,
          "; only a scalar can count");
  c.output(0, Shape());
}

OpDef& stateful(const char* name, ShapeRule rule) {
  return op(name).traits(Trait::stateful).shape(std::move(rule));
}

OpDef& scatter(const char* name, const char* dtype) {
  return stateful(name, scatter_shape)
      .in("resource: resource", "indices: Tindices", "updates: dtype")
      .attr(dtype, kIndex)
      .traits(Trait::no_gradient);
}

OpDef& scatter_nd(const char* name) {
  return stateful(name, scatter_nd_shape)
      .in("ref: resource", "indices: Tindices", "updates: T")
      .attr("T: type", kIndex, "use_locking: bool = true")
      .traits(Trait::no_gradient);
}

}  // namespace

HEADRACE_OPS(state) {
  stateful("VarHandleOp", handle_shape)
      .out("resource: resource")
      .attr("container: string = ''", "shared_name: string = ''", "dtype: type", "shape: shape")
      .traits(Trait::no_gradient)
      .doc(
          "A handle to the variable of this name, made on first use. It has no value until one is assigned.");
  stateful("ReadVariableOp", read_shape)
      .in("resource: resource")
      .out("value: dtype")
      .attr("dtype: type")
      .doc("The value of a variable now: a snapshot that later updates do not change.");
  stateful("AssignVariableOp", assign_shape)
      .in("resource: resource", "value: dtype")
      .attr("dtype: type")
      .traits(Trait::no_gradient)
      .doc("Gives a variable a new value.");
  stateful("AssignAddVariableOp", assign_shape)
      .in("resource: resource", "value: dtype")
      .attr("dtype: type")
      .traits(Trait::no_gradient)
      .doc("Adds to a variable.");
  stateful("AssignSubVariableOp", assign_shape)
      .in("resource: resource", "value: dtype")
      .attr("dtype: type")
      .traits(Trait::no_gradient)
      .doc("Subtracts from a variable.");
  stateful("VarIsInitializedOp", scalar_shape)
      .in("resource: resource")
      .out("is_initialized: bool")
      .traits(Trait::no_gradient)
      .doc("Whether a variable has a value.");
  stateful("DisableCopyOnRead", no_outputs)
      .in("resource: resource")
      .traits(Trait::no_gradient)
      .doc("Does nothing: reads of variables never copy.");
  stateful("VariableShape", variable_shape_shape)
      .in("input: resource")
      .out("output: out_type")
      .attr("out_type: {int32, int64} = int32")
      .traits(Trait::no_gradient)
      .doc("The shape of a variable's value, as a vector.");
  stateful("DestroyResourceOp", no_outputs)
      .in("resource: resource")
      .attr("ignore_lookup_error: bool = true")
      .traits(Trait::no_gradient)
      .doc("Forgets a resource: it has no value until it is initialised again.");
  stateful("ResourceGather", gather_shape)
      .in("resource: resource", "indices: Tindices")
      .out("output: dtype")
      .attr("batch_dims: int = 0", "validate_indices: bool = true", "dtype: type", kIndex)
      .doc("Rows of a variable: output[i, ...] = variable[indices[i], ...].");
  stateful("ResourceGatherNd", gather_nd_shape)
      .in("resource: resource", "indices: Tindices")
      .out("output: dtype")
      .attr("dtype: type", kIndex)
      .doc("Slices of a variable at N-dimensional indices: output[i, ...] = variable[indices[i, :], ...].");
  scatter("ResourceScatterUpdate", "dtype: type").doc("variable[indices[i], ...] = updates[i, ...].");
  scatter("ResourceScatterAdd", kNumber).doc("variable[indices[i], ...] += updates[i, ...].");
  scatter("ResourceScatterSub", kNumber).doc("variable[indices[i], ...] -= updates[i, ...].");
  scatter("ResourceScatterMul", kNumber).doc("variable[indices[i], ...] *= updates[i, ...].");
  scatter("ResourceScatterDiv", kNumber).doc("variable[indices[i], ...] /= updates[i, ...].");
  scatter("ResourceScatterMin", kNumber)
      .doc("Rows of a variable become the lesser of themselves and updates.");
  scatter("ResourceScatterMax", kNumber)
      .doc("Rows of a variable become the greater of themselves and updates.");
  scatter_nd("ResourceScatterNdUpdate").doc("variable[indices[i, :], ...] = updates[i, ...].");
  scatter_nd("ResourceScatterNdAdd").doc("variable[indices[i, :], ...] += updates[i, ...].");
  scatter_nd("ResourceScatterNdSub").doc("variable[indices[i, :], ...] -= updates[i, ...].");
  stateful("ResourceStridedSliceAssign", slice_assign_shape)
      .in("ref: resource", "begin: Index", "end: Index", "strides: Index", "value: T")
      .attr("T: type", "Index: {int32, int64}", "begin_mask: int = 0", "end_mask: int = 0",
            "ellipsis_mask: int = 0", "new_axis_mask: int = 0", "shrink_axis_mask: int = 0")
      .traits(Trait::no_gradient)
      .doc("Assigns to a slice of a variable, as in variable[1:3, ::2] = value. The value may broadcast.");
  stateful("ResourceCountUpTo", count_shape)
      .in("resource: resource")
      .out("output: T")
      .attr("limit: int", "T: {int32, int64}")
      .traits(Trait::no_gradient)
      .doc(
          "Adds one to a variable and gives its value before that; OutOfRange once it has reached the "
          "limit.");
}

}  // namespace headrace
