// Definitions of operations on strings.
#include "core/graph/graph.h"
#include "core/ops/reduce.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

// Scalars go with every shape, all others have to agree.
void join_shape(ShapeContext& c) {
  Shape shape;
  bool may_be_scalar = true;  // all known so far are scalars
  bool unknown = false;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const Shape& input = c.input(i);
    if (!input.has_rank()) {
      unknown = true;
    } else if (input.rank() > 0) {
      require(may_be_scalar || shape.compatible_with(input), "input ", i, " is ", input, ", others are ",
              shape, "; give scalars and tensors of one shape");
      shape = may_be_scalar ? input : shape.merge(input);
      may_be_scalar = false;
    }
  }
  c.output(0, may_be_scalar && unknown ? Shape::unknown() : shape);
}

// A row of parts for each string of a vector, as a sparse matrix.
void split_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(1, 0);
  c.output(0, {kUnknown, 2});
  c.output(1, {kUnknown});
  c.output(2, {2});
}

void substr_shape(ShapeContext& c) {
  require(c.input(1).compatible_with(c.input(2)), "pos has shape ", c.input(1), " and len has shape ",
          c.input(2), "; give as many lengths as positions");
  c.output(0, broadcast(c.input(0), c.input(1).has_rank() ? c.input(1).merge(c.input(2)) : c.input(2)));
}

constexpr const char* kUnit = "unit: {'BYTE', 'UTF8_CHAR'} = 'BYTE'";

}  // namespace

HEADRACE_OPS(string) {
  op("StringSplit")
      .in("input: string", "delimiter: string")
      .out("indices: int64", "values: string", "shape: int64")
      .attr("skip_empty: bool = true")
      .traits(Trait::no_gradient)
      .shape(split_shape)
      .doc("Cuts each string at each character of a delimiter, at every byte if that is empty.");
  op("StringSplitV2")
      .in("input: string", "sep: string")
      .out("indices: int64", "values: string", "shape: int64")
      .attr("maxsplit: int = -1")
      .traits(Trait::no_gradient)
      .shape(split_shape)
      .doc("Cuts each string at a separator, at runs of blanks if that is empty, as Python's split.");
  op("StringLength")
      .in("input: string")
      .out("output: int32")
      .attr(kUnit)
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("The number of bytes or characters of each string.");
  op("StringStrip")
      .in("input: string")
      .out("output: string")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("Each string without blanks around it.");
  op("StringLower")
      .in("input: string")
      .out("output: string")
      .attr("encoding: string = ''")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("Each string in small letters: those of ASCII, or all if it is 'utf-8'.");
  op("StringUpper")
      .in("input: string")
      .out("output: string")
      .attr("encoding: string = ''")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("Each string in capital letters: those of ASCII, or all if it is 'utf-8'.");
  op("Substr")
      .in("input: string", "pos: T", "len: T")
      .out("output: string")
      .attr("T: {int32, int64}", kUnit)
      .traits(Trait::no_gradient)
      .shape(substr_shape)
      .doc("A part of each string: from a place on, which counts from the end if negative, so long.");
  op("StringToNumber")
      .in("string_tensor: string")
      .out("output: out_type")
      .attr("out_type: {float32, float64, int32, int64} = float32")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("The number that each string is.");
  op("StringToHashBucket")
      .in("string_tensor: string")
      .out("output: int64")
      .attr("num_buckets: int >= 1")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("A hash of each string, modulo the number of buckets.");
  op("StringToHashBucketFast")
      .in("input: string")
      .out("output: int64")
      .attr("num_buckets: int >= 1")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("A fast hash of each string (FarmHash's 64 bit fingerprint), modulo the number of buckets.");
  op("StringToHashBucketStrong")
      .in("input: string")
      .out("output: int64")
      .attr("num_buckets: int >= 1", "key: list(int)")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("A hash of each string that needs a key (SipHash), modulo the number of buckets.");
  op("EncodeBase64")
      .in("input: string")
      .out("output: string")
      .attr("pad: bool = false")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("Each string written in 64 letters that are safe in addresses and file names.");
  op("DecodeBase64")
      .in("input: string")
      .out("output: string")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("The strings that EncodeBase64 has written.");
  op("ReduceJoin")
      .in("inputs: string", "reduction_indices: int32")
      .out("output: string")
      .attr("keep_dims: bool = false", "separator: string = ''")
      .traits(Trait::no_gradient)
      .shape(reduce_shape)
      .doc("Joins strings along axes, the first of which goes fastest.");
  op("UnsortedSegmentJoin")
      .in("inputs: string", "segment_ids: Tindices", "num_segments: Tnumsegments")
      .out("output: string")
      .attr("separator: string = ''", "Tindices: {int32, int64}", "Tnumsegments: {int32, int64} = int32")
      .traits(Trait::no_gradient)
      .shape(unsorted_segment_shape)
      .doc("Joins the strings of each segment.");
  op("UnicodeTranscode")
      .in("input: string")
      .out("output: string")
      .attr("input_encoding: string", "output_encoding: {'UTF-8', 'UTF-16-BE', 'UTF-32-BE'}",
            "errors: {'strict', 'replace', 'ignore'} = 'replace'", "replacement_char: int = 65533",
            "replace_control_characters: bool = false")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("Each string in another encoding.");
  op("RegexFullMatch")
      .in("input: string", "pattern: string")
      .out("output: bool")
      .traits(Trait::no_gradient)
      .shape([](ShapeContext& c) {
        c.with_rank(1, 0);
        c.output(0, c.input(0));
      })
      .doc("Whether each string as a whole matches a regular expression.");
  op("StaticRegexFullMatch")
      .in("input: string")
      .out("output: bool")
      .attr("pattern: string")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("Whether each string as a whole matches a regular expression.");
  op("RegexReplace")
      .in("input: string", "pattern: string", "rewrite: string")
      .out("output: string")
      .attr("replace_global: bool = true")
      .traits(Trait::no_gradient)
      .shape([](ShapeContext& c) {
        c.with_rank(1, 0);
        c.with_rank(2, 0);
        c.output(0, c.input(0));
      })
      .doc("Each string with what matches a regular expression replaced.");
  op("StaticRegexReplace")
      .in("input: string")
      .out("output: string")
      .attr("pattern: string", "rewrite: string", "replace_global: bool = true")
      .traits(Trait::no_gradient)
      .shape(same_shape)
      .doc("Each string with what matches a regular expression replaced.");
  op("StringFormat")
      .in("inputs: T")
      .out("output: string")
      .attr("T: list(type) >= 0", "template: string = '%s'", "placeholder: string = '%s'",
            "summarize: int = 3")
      .traits(Trait::no_gradient)
      .shape(scalar_shape)
      .doc("The template with each placeholder replaced by a tensor, written out.");
  op("StringJoin")
      .in("inputs: N * string")
      .out("output: string")
      .attr("N: int >= 1", "separator: string = ''")
      .traits(Trait::no_gradient)
      .shape(join_shape)
      .doc("Joins the strings at the same place of its inputs.");
  op("AsString")
      .in("input: T")
      .out("output: string")
      .attr(
          "T: {int8, int16, int32, int64, complex64, complex128, float32, float64, bool, uint8, uint16, "
          "uint32, uint64, float16, bfloat16}",
          "precision: int = -1", "scientific: bool = false", "shortest: bool = false", "width: int = -1",
          "fill: string = ''")
      .traits(Trait::elementwise, Trait::no_gradient)
      .shape(same_shape)
      .doc("Each number written out.");
}

}  // namespace headrace
