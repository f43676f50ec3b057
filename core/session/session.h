// run(fetches, feeds): finds the plan of a signature and runs it.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/plan/plan.h"

namespace headrace {

struct SessionOptions {
  PlanOptions plan;
  int intra_op_threads = 0;               // 0: the default of base/parallel.h
  std::string target;                     // sessions of one non-empty target share their state
  std::vector<std::string> device_types;  // made besides those that always are (the null device)
};

struct RunOptions {
  std::int64_t timeout_ms = 0;  // 0: none
  Trace* trace = nullptr;
  std::function<bool()> interrupted;
};

class Session;

// One (feeds, fetches, targets) signature made ready to run, from any number of threads.
class Callable {
 public:
  // `feeds` in the signature's order, checked against the fed outputs' dtypes and static shapes.
  std::vector<Tensor> run(std::span<const Tensor> feeds, const RunOptions& options = {});
  std::string describe(std::span<const Tensor> feeds);  // the plan for such feeds
  std::size_t num_plans() const { return plans_.size(); }
  std::int64_t num_planned() const { return plans_.planned(); }

 private:
  friend class Session;
  Callable(Session& session, std::vector<Output> fed, std::vector<Output> fetched,
           std::span<Node* const> targets);
  Session& session_;
  std::vector<Output> fed_;
  std::size_t num_results_;
  PlanCache plans_;
};

class Session {
 public:
  explicit Session(std::shared_ptr<Graph> graph, SessionOptions options = {});
  ~Session();  // waits for running steps

  // The callable of a signature: made once, then found.
  std::shared_ptr<Callable> callable(std::vector<Output> fed, std::vector<Output> fetched,
                                     std::vector<Node*> targets);
  std::vector<Tensor> run(std::vector<std::pair<Output, Tensor>> feeds, std::vector<Output> fetches,
                          std::vector<Node*> targets = {}, const RunOptions& options = {});
  // Cancels running steps and refuses new ones.
  void close();
  bool closed() const;

  Graph& graph() { return *graph_; }
  Resources& resources() { return *resources_; }
  std::span<const std::unique_ptr<Device>> devices() const { return devices_; }
  // Closes every session of `target` and forgets their state (variables...): that of these containers, or all
  // if none are named.
  static void reset(const std::string& target, std::span<const std::string> containers);

 private:
  friend class Callable;
  void execute(PlanCache& plans, std::span<const Tensor> feeds, std::span<Tensor> results,
               const RunOptions& options);

  std::shared_ptr<Graph> graph_;
  SessionOptions options_;
  std::shared_ptr<Resources> resources_;  // of the target
  Resources own_resources_;               // of operations of this session
  std::vector<std::unique_ptr<Device>> devices_;
  std::unique_ptr<PlanEnvironment> environment_;
  struct Signatures;
  std::unique_ptr<Signatures> signatures_;
  struct Running;
  std::unique_ptr<Running> running_;
};

}  // namespace headrace
