// Definitions of operations on strings.
#include "core/graph/graph.h"
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

}  // namespace

HEADRACE_OPS(string) {
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
