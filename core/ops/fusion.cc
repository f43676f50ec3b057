// What the fusion pass joins nodes into.
#include "core/registry/ops.h"
#include "core/registry/tape.h"

namespace headrace {
namespace {

void tape_shape(ShapeContext& c) {
  const Tape tape = tape_of(c.node());
  require(int(tape.outputs.size()) == c.num_outputs(), "a tape with ", tape.outputs.size(), " outputs for ",
          c.num_outputs(), " of the node");
  for (const TapeResult& result : tape.results) {
    const TapeEntry& entry = tape.entry_of(result, c.num_inputs());
    require(entry.dtype == c.node().dtype(result.output), "output ", result.output, " is ",
            name_of(c.node().dtype(result.output)), ", but its entry makes ", name_of(entry.dtype));
  }
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, tape.outputs[std::size_t(i)]);
}

}  // namespace

HEADRACE_OPS(fusion) {
  op(kTapeOp)
      .in("inputs: Tin")
      .out("outputs: Tout")
      .attr("Tin: list(type)", "Tout: list(type)", "loops: list(string)", "operand_counts: list(int)",
            "operands: list(int)", "operand_shapes: list(shape)", "numbers: list(float)",
            "dtypes: list(type)", "shapes: list(shape)", "wholes: list(shape)", "begins: list(shape)",
            "reductions: list(int)", "results: list(int)", "outputs: list(int)", "result_begins: list(shape)",
            "output_shapes: list(shape)")
      .traits(Trait::no_gradient)
      .shape(tape_shape)
      .doc(
          "Runs a list of elementwise operations block by block, so that what lies between stays in the "
          "cache.");
}

}  // namespace headrace
