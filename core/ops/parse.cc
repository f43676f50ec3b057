// Definitions of parsers: tensors out of serialized examples, of raw bytes, of lines of a table and of
// messages.
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

const Shape kAnyLength{kUnknown};

// Gives the outputs their shapes one after the other.
class Outputs {
 public:
  explicit Outputs(ShapeContext& c) : c_(c) {}
  void add(Shape shape) { c_.output(next_++, std::move(shape)); }
  void add(std::size_t count, const Shape& shape) {
    for (std::size_t i = 0; i < count; ++i) add(shape);
  }
  // Indices, values and dense shapes of `count` sparse tensors of this rank.
  void add_sparse(std::size_t count, int rank) {
    add(count, Shape{kUnknown, rank});
    add(count, kAnyLength);
    add(count, Shape{rank});
  }
  // Dense columns behind the dimensions of the batch.
  void add_dense(const Shape& batch, const std::vector<Shape>& shapes) {
    for (const Shape& shape : shapes) add(batch.concat(shape));
  }

 private:
  ShapeContext& c_;
  int next_ = 0;
};

void require_as_many(std::size_t have, const char* what, std::size_t wanted, const char* as) {
  require(have == wanted, "there are ", have, " ", what, " and ", wanted, " ", as, "; give as many");
}

const std::vector<DType>& types(ShapeContext& c, const char* name) {
  return c.attr<std::vector<DType>>(name);
}
const std::vector<Shape>& shapes(ShapeContext& c, const char* name) {
  return c.attr<std::vector<Shape>>(name);
}
std::size_t count(ShapeContext& c, const char* name) { return std::size_t(c.attr<std::int64_t>(name)); }

void example_shape(ShapeContext& c) {
  const Shape batch = c.with_rank(0, 1);
  const std::size_t sparse = count(c, "Nsparse");
  require_as_many(types(c, "sparse_types").size(), "sparse_types", sparse, "sparse_keys");
  require_as_many(shapes(c, "dense_shapes").size(), "dense_shapes", types(c, "Tdense").size(),
                  "dense_defaults");
  require_as_many(types(c, "Tdense").size(), "dense_defaults", count(c, "Ndense"), "dense_keys");
  Outputs out(c);
  out.add_sparse(sparse, 2);
  out.add_dense(batch, shapes(c, "dense_shapes"));
}

void example_v2_shape(ShapeContext& c) {
  const Shape& batch = c.input(0);
  require(!batch.has_rank() || batch.rank() <= 1, "serialized has the shape ", batch,
          ", expected a scalar or a vector");
  const std::size_t sparse = count(c, "num_sparse"), ragged = types(c, "ragged_value_types").size();
  require_as_many(types(c, "sparse_types").size(), "sparse_types", sparse, "sparse features");
  require_as_many(shapes(c, "dense_shapes").size(), "dense_shapes", types(c, "Tdense").size(),
                  "dense_defaults");
  require_as_many(types(c, "ragged_split_types").size(), "ragged_split_types", ragged, "ragged_value_types");
  Outputs out(c);
  if (batch.has_rank()) {
    out.add_sparse(sparse, batch.rank() + 1);
    out.add_dense(batch, shapes(c, "dense_shapes"));
  } else {
    out.add(sparse, Shape{kUnknown, kUnknown});
    out.add(2 * sparse, kAnyLength);
    out.add(types(c, "Tdense").size(), Shape::unknown());
  }
  out.add(ragged, kAnyLength);
  const bool one = batch.has_rank() && batch.rank() == 0;
  const bool known = batch.has_rank() && batch.is_full() && !one;
  out.add(ragged, one ? Shape{0} : Shape{known ? batch[0] + 1 : kUnknown});
}

void single_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  const std::size_t sparse = count(c, "num_sparse");
  require_as_many(c.attr<std::vector<std::string>>("sparse_keys").size(), "sparse_keys", sparse,
                  "sparse features");
  require_as_many(types(c, "sparse_types").size(), "sparse_types", sparse, "sparse features");
  require_as_many(shapes(c, "dense_shapes").size(), "dense_shapes", types(c, "Tdense").size(),
                  "dense_defaults");
  require_as_many(c.attr<std::vector<std::string>>("dense_keys").size(), "dense_keys",
                  types(c, "Tdense").size(), "dense_defaults");
  Outputs out(c);
  out.add_sparse(sparse, 1);
  out.add_dense(Shape(), shapes(c, "dense_shapes"));
}

// The outputs that both operations on sequences have.
void add_sequence(ShapeContext& c, Outputs& out, const Shape& batch) {
  const std::size_t context = count(c, "Ncontext_sparse"), lists = count(c, "Nfeature_list_sparse");
  require_as_many(types(c, "context_sparse_types").size(), "context_sparse_types", context,
                  "sparse features of the context");
  require_as_many(types(c, "Tcontext_dense").size(), "context_dense_defaults", count(c, "Ncontext_dense"),
                  "dense features of the context");
  require_as_many(shapes(c, "context_dense_shapes").size(), "context_dense_shapes",
                  count(c, "Ncontext_dense"), "dense features of the context");
  require_as_many(types(c, "feature_list_sparse_types").size(), "feature_list_sparse_types", lists,
                  "sparse feature lists");
  require_as_many(types(c, "feature_list_dense_types").size(), "feature_list_dense_types",
                  count(c, "Nfeature_list_dense"), "dense feature lists");
  require_as_many(shapes(c, "feature_list_dense_shapes").size(), "feature_list_dense_shapes",
                  count(c, "Nfeature_list_dense"), "dense feature lists");
  const int rank = batch.rank();
  out.add_sparse(context, rank + 1);
  out.add_dense(batch, shapes(c, "context_dense_shapes"));
  out.add_sparse(lists, rank + 2);
  out.add_dense(batch.concat(kAnyLength), shapes(c, "feature_list_dense_shapes"));
}

void sequence_shape(ShapeContext& c) {
  const Shape batch = c.with_rank(0, 1);
  Outputs out(c);
  add_sequence(c, out, batch);
  out.add(count(c, "Nfeature_list_dense"), batch);
}

void single_sequence_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  Outputs out(c);
  add_sequence(c, out, Shape());
}

// Each string becomes a row whose length the strings tell.
void raw_shape(ShapeContext& c) { c.output(0, c.input(0).concat(kAnyLength)); }

void padded_raw_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const std::int64_t width = std::int64_t(size_of(c.attr<DType>("out_type")));
  const std::optional<std::int64_t> length = c.int_value(1);
  require(!length || (*length >= 0 && *length % width == 0), "fixed_length is ", length.value_or(0),
          ", expected a multiple of ", width, ", the bytes of an element");
  c.output(0, c.input(0).concat(Shape{length ? *length / width : kUnknown}));
}

void csv_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) {
    const Shape& shape = c.input(i);
    require(!shape.has_rank() || shape.rank() == 0 || (shape.rank() == 1 && shape[0] <= 1),
            "record_defaults[", i - 1, "] has the shape ", shape,
            ", expected a scalar, or a vector with one element or none");
  }
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, c.input(0));
}

void scalar_to_unknown_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  c.output(0, Shape::unknown());
}

}  // namespace

HEADRACE_OPS(parse) {
  op("ParseExample")
      .in("serialized: string", "names: string", "sparse_keys: Nsparse * string",
          "dense_keys: Ndense * string", "dense_defaults: Tdense")
      .out("sparse_indices: Nsparse * int64", "sparse_values: sparse_types", "sparse_shapes: Nsparse * int64",
           "dense_values: Tdense")
      .attr("Nsparse: int >= 0", "Ndense: int >= 0", "sparse_types: list({float32, int64, string}) >= 0",
            "Tdense: list({float32, int64, string}) >= 0", "dense_shapes: list(shape) >= 0")
      .traits(Trait::no_gradient)
      .shape(example_shape)
      .doc(
          "Features of a batch of serialized Example messages. `names` of the examples, for errors, may be "
          "empty. "
          "A dense feature whose shape has an unknown first dimension is padded with its default.");
  op("ParseExampleV2")
      .in("serialized: string", "names: string", "sparse_keys: string", "dense_keys: string",
          "ragged_keys: string", "dense_defaults: Tdense")
      .out("sparse_indices: num_sparse * int64", "sparse_values: sparse_types",
           "sparse_shapes: num_sparse * int64", "dense_values: Tdense", "ragged_values: ragged_value_types",
           "ragged_row_splits: ragged_split_types")
      .attr("Tdense: list({float32, int64, string}) >= 0", "num_sparse: int >= 0",
            "sparse_types: list({float32, int64, string}) >= 0",
            "ragged_value_types: list({float32, int64, string}) >= 0",
            "ragged_split_types: list({int32, int64}) >= 0", "dense_shapes: list(shape) >= 0")
      .traits(Trait::no_gradient)
      .shape(example_v2_shape)
      .doc(
          "Features of serialized Example messages, of one or of a vector of them; as ParseExample, with "
          "ragged features: all values, and where those of each example begin.");
  op("ParseSingleExample")
      .in("serialized: string", "dense_defaults: Tdense")
      .out("sparse_indices: num_sparse * int64", "sparse_values: sparse_types",
           "sparse_shapes: num_sparse * int64", "dense_values: Tdense")
      .attr("num_sparse: int >= 0", "sparse_keys: list(string) >= 0", "dense_keys: list(string) >= 0",
            "sparse_types: list({float32, int64, string}) >= 0",
            "Tdense: list({float32, int64, string}) >= 0", "dense_shapes: list(shape) >= 0")
      .traits(Trait::no_gradient)
      .shape(single_shape)
      .doc("Features of one serialized Example message.");
  op("ParseSequenceExample")
      .in("serialized: string", "debug_name: string", "context_dense_defaults: Tcontext_dense")
      .out("context_sparse_indices: Ncontext_sparse * int64", "context_sparse_values: context_sparse_types",
           "context_sparse_shapes: Ncontext_sparse * int64", "context_dense_values: Tcontext_dense",
           "feature_list_sparse_indices: Nfeature_list_sparse * int64",
           "feature_list_sparse_values: feature_list_sparse_types",
           "feature_list_sparse_shapes: Nfeature_list_sparse * int64",
           "feature_list_dense_values: feature_list_dense_types",
           "feature_list_dense_lengths: Nfeature_list_dense * int64")
      .attr("feature_list_dense_missing_assumed_empty: list(string) >= 0",
            "context_sparse_keys: list(string) >= 0", "context_dense_keys: list(string) >= 0",
            "feature_list_sparse_keys: list(string) >= 0", "feature_list_dense_keys: list(string) >= 0",
            "Ncontext_sparse: int >= 0 = 0", "Ncontext_dense: int >= 0 = 0",
            "Nfeature_list_sparse: int >= 0 = 0", "Nfeature_list_dense: int >= 0 = 0",
            "context_sparse_types: list({float32, int64, string}) >= 0 = []",
            "Tcontext_dense: list({float32, int64, string}) >= 0 = []",
            "feature_list_dense_types: list({float32, int64, string}) >= 0 = []",
            "context_dense_shapes: list(shape) >= 0 = []",
            "feature_list_sparse_types: list({float32, int64, string}) >= 0 = []",
            "feature_list_dense_shapes: list(shape) >= 0 = []")
      .traits(Trait::no_gradient)
      .shape(sequence_shape)
      .doc(
          "Features of a batch of serialized SequenceExample messages: of their contexts, and lists with a "
          "feature for each step. Dense lists are padded with zeros to the longest.");
  op("ParseSingleSequenceExample")
      .in("serialized: string", "feature_list_dense_missing_assumed_empty: string",
          "context_sparse_keys: Ncontext_sparse * string", "context_dense_keys: Ncontext_dense * string",
          "feature_list_sparse_keys: Nfeature_list_sparse * string",
          "feature_list_dense_keys: Nfeature_list_dense * string", "context_dense_defaults: Tcontext_dense",
          "debug_name: string")
      .out("context_sparse_indices: Ncontext_sparse * int64", "context_sparse_values: context_sparse_types",
           "context_sparse_shapes: Ncontext_sparse * int64", "context_dense_values: Tcontext_dense",
           "feature_list_sparse_indices: Nfeature_list_sparse * int64",
           "feature_list_sparse_values: feature_list_sparse_types",
           "feature_list_sparse_shapes: Nfeature_list_sparse * int64",
           "feature_list_dense_values: feature_list_dense_types")
      .attr("Ncontext_sparse: int >= 0 = 0", "Ncontext_dense: int >= 0 = 0",
            "Nfeature_list_sparse: int >= 0 = 0", "Nfeature_list_dense: int >= 0 = 0",
            "context_sparse_types: list({float32, int64, string}) >= 0 = []",
            "Tcontext_dense: list({float32, int64, string}) >= 0 = []",
            "feature_list_dense_types: list({float32, int64, string}) >= 0 = []",
            "context_dense_shapes: list(shape) >= 0 = []",
            "feature_list_sparse_types: list({float32, int64, string}) >= 0 = []",
            "feature_list_dense_shapes: list(shape) >= 0 = []")
      .traits(Trait::no_gradient)
      .shape(single_sequence_shape)
      .doc("Features of one serialized SequenceExample message; see ParseSequenceExample.");
  op("DecodeRaw")
      .in("bytes: string")
      .out("output: out_type")
      .attr(
          "out_type: {float16, float32, float64, int32, uint16, uint8, int16, int8, int64, complex64, "
          "complex128, bool}",
          "little_endian: bool = true")
      .traits(Trait::no_gradient)
      .shape(raw_shape)
      .doc("The bytes of each string as numbers, in a new last dimension; all strings have one length.");
  op("DecodePaddedRaw")
      .in("input_bytes: string", "fixed_length: int32")
      .out("output: out_type")
      .attr("out_type: {float16, float32, float64, int32, uint16, uint8, int16, int8, int64}",
            "little_endian: bool = true")
      .traits(Trait::no_gradient)
      .shape(padded_raw_shape)
      .doc(
          "The bytes of each string as numbers, in a new last dimension; strings are cut, or padded with "
          "zero bytes, to `fixed_length`.");
  op("DecodeCSV")
      .in("records: string", "record_defaults: OUT_TYPE")
      .out("output: OUT_TYPE")
      .attr("OUT_TYPE: list({float32, float64, int32, int64, string}) >= 1", "field_delim: string = ','",
            "use_quote_delim: bool = true", "na_value: string = ''", "select_cols: list(int) = []")
      .traits(Trait::no_gradient)
      .shape(csv_shape)
      .doc(
          "The fields of lines of a table, a tensor for each column. An empty field, or one that is "
          "`na_value`, becomes the default; a column without a default needs a value.");
  op("DecodeJSONExample")
      .in("json_examples: string")
      .out("binary_examples: string")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("Serialized Example messages out of their JSON form.");
  op("ParseTensor")
      .in("serialized: string")
      .out("output: out_type")
      .attr("out_type: type")
      .traits(Trait::no_gradient)
      .shape(scalar_to_unknown_shape)
      .doc("The tensor in a serialized TensorProto message.");
  op("SerializeTensor")
      .in("tensor: T")
      .out("serialized: string")
      .attr("T: type")
      .traits(Trait::no_gradient)
      .shape(scalar_shape)
      .doc("A tensor as a serialized TensorProto message.");
}

}  // namespace headrace
