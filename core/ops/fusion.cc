// What the fusion pass joins nodes into.
#include "core/registry/ops.h"
#include "core/registry/tape.h"

namespace headrace {
namespace {

void tape_shape(ShapeContext& c) {
  const Tape tape = tape_of(c.node());
  require(int(tape.results.size()) == c.num_outputs(), "a tape with ", tape.results.size(), " results for ",
          c.num_outputs(), " outputs");
  for (int i = 0; i < c.num_outputs(); ++i) {
    const TapeEntry& entry = tape.entries[std::size_t(tape.results[std::size_t(i)] - c.num_inputs())];
    require(entry.dtype == c.node().dtype(i), "output ", i, " is ", name_of(c.node().dtype(i)),
            ", but its entry makes ", name_of(entry.dtype));
    c.output(i, entry.shape);
  }
}

}  // namespace

HEADRACE_OPS(fusion) {
  op(kTapeOp)
      .in("inputs: Tin")
      .out("outputs: Tout")
      .attr("Tin: list(type)", "Tout: list(type)", "loops: list(string)", "operand_counts: list(int)",
            "operands: list(int)", "operand_shapes: list(shape)", "numbers: list(float)",
            "dtypes: list(type)", "shapes: list(shape)", "results: list(int)")
      .traits(Trait::no_gradient)
      .shape(tape_shape)
      .doc(
          "Runs a list of elementwise operations block by block, so that what lies between stays in the "
          "cache.");
}

}  // namespace headrace
