// The control flow of older graphs, found in the nodes of a message.
//
// TensorFlow 1 writes a condition as Switch nodes, each of which passes its value on along one of two ways,
// and Merge nodes, which pass on whichever of two values comes. A loop is a frame: Enter nodes lead in, a
// Merge for each loop variable takes the first value or the next one, a Switch sends it round once more or
// to an Exit. Here both are operations that call functions, and a message is raised into that form:
//
//   x ─▶ Enter ─▶ Merge ─▶ Switch ─▶ Exit ─▶ y           x ─▶ While ─▶ y
//          cond ◀─┘ ▲        │                                 │ cond: from Merge to LoopCond
//     LoopCond ──▶  │        ▼                                 │ body: from Switch to NextIteration
//         NextIteration ◀─ body
//
// What is told here is which nodes make up which condition and loop, as a tree. import.cc builds from it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/io/graph_message.h"

namespace headrace {

struct Loop;
struct Conditional;

// What runs together, in order. Numbers are those of nodes in the message.
struct Block {
  std::vector<std::variant<int, std::unique_ptr<Loop>, std::unique_ptr<Conditional>>> steps;
};

struct Loop {
  // Enter leads to Merge, the value of an iteration; NextIteration gives that of the next one.
  struct Variable {
    int enter, merge, next;
  };
  std::string_view frame;
  std::int64_t parallel_iterations = 10;
  std::vector<Variable> variables;
  std::vector<int> invariants;             // Enter nodes whose value stays
  std::vector<std::pair<int, int>> exits;  // Exit nodes, and the variable whose last value each is
  Source predicate;                        // in `cond`
  Block cond, body;
};

struct Conditional {
  // What is used outside: a value of either side. Where only one side has it, it is used only if that side
  // has run.
  struct Result {
    std::array<std::optional<Source>, 2> sides;  // if false, if true
    // In place of values: which of a Merge's inputs came, on either side.
    std::optional<std::array<int, 2>> position;
  };
  Source predicate;
  std::array<Block, 2> sides;
  std::vector<Result> results;
  struct Joined {
    int merge, value, position;  // results by number; position -1 if nobody asks for it
  };
  std::vector<Joined> joined;
  std::array<std::vector<int>, 2> awaited;  // nodes on either side that something outside waits for
  std::vector<int> members;                 // all nodes inside, at any depth
};

// As the output of a node: true once the node has run. So a node that is only run for its effects, on one
// side of a condition, is something that the condition gives out.
inline constexpr std::string_view kHasRun = "(has run)";

struct FrameContext {
  // Whether an input comes from somewhere else than the message.
  std::function<bool(const Source&)> outside;
  // Whether an operation has effects, or sees those of others.
  std::function<bool(std::string_view op)> has_effects;
  // What else is read of the nodes: results of a function, elements that an import returns.
  std::vector<Source> wanted;
  // Stores the name of a node that is added.
  std::function<std::string_view(std::string)> keep;
};

bool is_frame_operation(std::string_view op);
bool has_frames(const std::vector<NodeMessage>& nodes);

// What a source is called here, if the node's outputs have names in functions: "merge:value_index" is
// "merge:1".
Source unnamed(Source source, std::string_view op);

// Rewrites the inputs of nodes to come from where values really are made (not from a Switch), and their
// control inputs to those that matter; adds nodes at the end where a Merge takes more than two values.
// InvalidArgument, with the names of node and frame, for what is not
// the form in which conditions and loops are written.
Block raise_frames(std::vector<NodeMessage>& nodes, const FrameContext& context);

}  // namespace headrace
