// Plans: a function specialised on the shapes of its arguments, cut where shapes depend on data, partitioned
// over devices, and compiled. See core/README.md for the journey.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/passes/pipeline.h"
#include "core/registry/device.h"

namespace headrace {

struct PlanOptions {
  std::vector<std::string> disabled_passes;  // names of passes/pipeline.h
  bool allow_soft_placement = true;          // fall back to the CPU where a device lacks an operation
  bool log_placement = false;                // keep "node: device" lines in Plan::placement
  bool verify = false;                       // run the verifier between passes
  std::size_t cache_size = 64;               // specialisations kept for one function
  CompileOptions compile = {};
};

// What planning and running need from their session. Outlives every plan.
struct PlanEnvironment {
  std::vector<Device*> devices;  // [0] is the CPU
  PlanOptions options;
  Resources& resources;
};

class PlanCache;

// One specialisation.
class Plan {
 public:
  // Runs everything and fills results, which are host tensors.
  void run(Step& step, std::span<const Tensor> arguments, std::span<Tensor> results) const;
  std::string describe() const;
  std::string placement;  // if asked for

 private:
  friend class Planner;
  // A piece on one device. Indices are into the values of the run.
  struct Segment {
    Device* device;
    std::unique_ptr<Executable> executable;
    std::vector<int> inputs, outputs;
  };
  // values: [arguments..., whatever segments and the rest produce]
  std::vector<Segment> segments_;
  int num_values_ = 0;
  std::vector<int> results_;  // where each result is among the values
  // What can only be specialised once this much has run.
  std::unique_ptr<PlanCache> rest_;
  std::vector<int> rest_inputs_, rest_outputs_;
};

// A function with its specialisations, bounded in number; the least recently used goes first.
class PlanCache : public Callee {
 public:
  // `value_arguments` are the arguments whose values, not only shapes, decide about shapes.
  PlanCache(std::unique_ptr<Function> function, std::vector<int> value_arguments,
            PlanEnvironment& environment);
  ~PlanCache() override;

  void run(Step& step, std::span<const Tensor> arguments, std::span<Tensor> results);
  void call(Step& step, std::span<const Tensor> arguments, std::span<Tensor> results) override {
    run(step, arguments, results);
  }
  // The plan for arguments like these, made if need be.
  std::shared_ptr<const Plan> specialise(std::span<const Tensor> arguments);
  std::size_t size() const;
  std::int64_t planned() const;  // how many specialisations were ever made

 private:
  struct Key;
  struct KeyHash;
  const std::unique_ptr<Function> function_;
  const std::vector<int> value_arguments_;
  PlanEnvironment& environment_;
  struct Entries;
  const std::unique_ptr<Entries> entries_;
};

}  // namespace headrace
