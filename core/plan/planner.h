// Makes plans.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/plan/pieces.h"
#include "core/plan/plan.h"

namespace headrace {

// Makes one plan for a function whose arguments have full shapes.
class Planner {
 public:
  Planner(std::unique_ptr<Function> function, PlanEnvironment& environment,
          std::shared_ptr<PlanCache::Family> family)
      : function_(std::move(function)), environment_(environment), family_(std::move(family)) {}
  std::shared_ptr<const Plan> make();

 private:
  void find_ready();
  void log_placement() const;
  bool is_ready(const Node& node) const { return ready_[std::size_t(node.id())]; }
  bool is_whole() const;
  void compile_whole();
  void copy_constants(std::vector<Piece>& pieces);
  void compile_pieces();
  Plan::Segment compile_segment(Device& device, std::span<Node* const> nodes, std::span<const Output> inputs,
                                std::span<const Output> outputs);
  Plan::Rest keep_rest(std::span<Node* const> nodes, std::span<const Output> inputs,
                       std::span<const Output> outputs);
  std::unique_ptr<Executable> compile_on(Device& device, const Function& function);
  std::unique_ptr<Function> extract_piece(std::span<const Output> inputs, std::span<const Output> outputs,
                                          std::span<Node* const> nodes);
  int add_value(const Output& output, Device& device, int step);
  int value_on(const Output& output, Device& device);
  int add_step(std::variant<Plan::Segment, Plan::Transfer, Plan::Rest> step, bool may_wait,
               std::span<const int> after);
  Device& home(const Output& output) const;

  struct OutputHash {
    std::size_t operator()(const Output& o) const {
      return std::hash<const void*>{}(o.node) * 31 + std::size_t(o.index);
    }
  };
  std::unique_ptr<Function> function_;
  PlanEnvironment& environment_;
  const std::shared_ptr<PlanCache::Family> family_;  // of the cache that this is made for
  std::vector<Node*> order_;
  std::vector<char> ready_;                        // by node id
  std::unordered_set<Output, OutputHash> wanted_;  // outputs whose values decide about shapes
  Placement placement_;
  std::map<std::pair<Output, Device*>, int> values_;
  std::vector<int> made_by_;  // by value: the step that makes it, or -1
  std::shared_ptr<Plan> plan_;
};

}  // namespace headrace
