// Graphs: one that is accepted can be exported, and that is accepted again.
#include "core/io/graphdef.h"

#include "core/graph/graph.h"
#include "tests/fuzz/fuzz.h"

FUZZ(graphdef) {
  using namespace headrace;
  Graph graph;
  import_graphdef(graph, bytes, {.prefix = bytes.size() % 2 ? "p" : ""});
  const std::string exported = to_graphdef(graph, {.with_shapes = true});
  Graph again;
  try {
    import_graphdef(again, exported);
  } catch (const Error& error) {
    internal("what was exported is refused: ", error.what());
  }
}
