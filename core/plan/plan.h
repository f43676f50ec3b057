// Plans: a function specialised on the shapes of its arguments, cut where shapes depend on data, partitioned
// over devices, and compiled. See core/README.md for the journey.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/passes/pipeline.h"
#include "core/plan/flow.h"
#include "core/registry/device.h"

namespace headrace {

class PlanCache;
class Planner;

struct PlanOptions {
  std::vector<std::string> disabled_passes;  // names of passes/pipeline.h
  bool allow_soft_placement = true;          // fall back to the CPU where a device lacks an operation
  bool log_placement = false;                // print a line for every node placed, to standard error
  bool verify = false;                       // run the verifier between passes
  std::size_t cache_size = 64;               // specialisations kept of one function
  CompileOptions compile = {};
};

class PlanEnvironment;

// One specialisation.
class Plan {
 public:
  // Runs everything and fills results, which are host tensors. Consumes the arguments.
  void run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) const;
  // One line a step: what runs where, what is sent between devices, what waits for data.
  std::string describe() const;

 private:
  friend class Planner;
  // A piece on one device. The numbers are positions among the values of a run.
  struct Segment {
    Device* device;
    std::unique_ptr<Executable> executable;
    std::vector<int> inputs, outputs;
  };
  // One tensor that crosses devices: Send copies it out of one, Recv into the other.
  struct Transfer {
    Device *from, *to;
    int sent, received;
    std::string tensor;
  };
  // What can only be specialised once its inputs are there, because shapes depend on them.
  struct Rest {
    std::unique_ptr<PlanCache> cache;
    std::vector<int> inputs, outputs;
  };
  class Run;

  // Values are [arguments..., what the steps make]. Each step comes after those that it waits for; where some
  // may wait for other steps of the session, each runs as soon as what it waits for has ended.
  std::vector<std::variant<Segment, Transfer, Rest>> steps_;
  std::vector<Flow::Job> jobs_;  // by step
  bool in_order_ = true;
  int num_values_ = 0;
  std::vector<int> results_;
  std::vector<int> readers_;  // by value: how many there are
  ThreadCache* threads_ = nullptr;
  bool direct_ = false;  // one segment takes the arguments and gives the results as they are
};

// A function with its specialisations, bounded in number; the least recently used goes first. What is left
// over after a cut is a function with specialisations too, and shares the bound with what it is the rest of:
// else there might be 64 times 64 of them after two cuts.
class PlanCache : public Callee {
 public:
  class Family;
  // `value_arguments` are the arguments whose values, not only shapes, decide about shapes. Without a family
  // it is the first of its own.
  PlanCache(std::unique_ptr<Function> function, std::vector<int> value_arguments,
            PlanEnvironment& environment, std::shared_ptr<Family> family = nullptr);
  ~PlanCache() override;

  void run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results);
  void call(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) override {
    run(step, arguments, results);
  }
  // The plan for arguments like these, made if need be.
  std::shared_ptr<const Plan> specialise(std::span<const Tensor> arguments);
  const Function& function() const { return *function_; }
  std::size_t size() const;      // specialisations there are, with those of rests
  std::int64_t planned() const;  // how many were ever made

 private:
  const std::unique_ptr<Function> function_;
  const std::vector<int> value_arguments_;
  PlanEnvironment& environment_;
  struct Entry;
  struct Entries;
  const std::shared_ptr<Family> family_;
  const std::unique_ptr<Entries> entries_;
};

// What planning and running need from their session. Outlives every plan.
class PlanEnvironment {
 public:
  // devices[0] is the CPU. The resources are those of PrepareContext::Environment.
  PlanEnvironment(std::vector<Device*> devices, PlanOptions options, Resources& resources, Resources& own);
  PlanEnvironment(const PlanEnvironment&) = delete;
  const std::vector<Device*> devices;
  const PlanOptions options;
  Resources& resources;
  PrepareContext::Environment kernels;  // callees are PlanCaches of this environment
  ThreadCache threads;                  // for pieces of plans that may wait
};

}  // namespace headrace
