// A function made of prepared kernels, an arena and a schedule: what the CPU device compiles to.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/executor/arenas.h"
#include "core/plan/flow.h"
#include "core/registry/device.h"
#include "core/registry/trace.h"

namespace headrace {

class CpuExecutable : public Executable {
 public:
  // Prepares every node of the function, whose argument shapes are full.
  CpuExecutable(const Function& function, PrepareContext::Environment& environment,
                const CompileOptions& options, ThreadCache& threads, Arenas& arenas, std::string device);

  void run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) override;
  std::string describe() const override;
  std::size_t arena_bytes() const { return arena_bytes_; }

 private:
  // Where a value lives during a run.
  enum class Home {
    arena,     // at `offset` in the arena
    argument,  // handed in by the caller
    fixed,     // the same tensor in every run
    own,       // made by the kernel that computes it
    result,    // memory that leaves with the results
    piece,     // a part of another value's memory
  };
  struct Value {
    Home home;
    ValueType type;
    std::size_t offset = 0;  // in the arena
    int index = -1;          // argument or result number
    Tensor fixed;
    int first = 0, last = 0;  // steps that write it first and read it last
    int whole = -1;           // of piece: the value that it is a part of
  };
  struct Instruction {
    std::unique_ptr<Kernel> kernel;
    std::vector<int> inputs, outputs;  // values
    std::vector<ValueType> input_types;
    std::vector<int> releases;  // held values that nobody reads afterwards
    std::vector<int> shares;    // held values that others read at the same time: the last one releases them
    std::vector<int> promised;  // own outputs whose shape was known when this was planned
    std::size_t scratch_offset = 0;
    std::optional<std::size_t> shared_offset = {};
    bool shared_filled = false;  // by an instruction before this one
    int origin = -1;             // the node that it comes from; -1 if it is a join
    std::int64_t output_bytes = 0;
  };
  // A node of the function, for errors and traces.
  struct Origin {
    std::string name, op, source;
    std::vector<std::pair<int, int>> inputs;  // what it reads: a node, and which output; -1: waits for
  };
  // The memory of one run; a few are kept between runs.
  struct Frame {
    std::vector<Slot> slots;
    BufferRef arena;
    const void* pointed = nullptr;  // the arena that the slots point into
  };

  class Builder;
  class LaneRun;

  std::unique_ptr<Frame> take_frame();
  bool shares_arena() const { return arena_bytes_ >= Arenas::kShared; }
  BufferRef allocate_arena();
  void give_back(std::unique_ptr<Frame> frame);
  void execute(int position, Frame& frame, Step& step, int lane) const;
  static SharedMemory shared_memory(const Instruction& instruction, const Frame& frame);
  void run_in_order(Frame& frame, Step& step) const;
  // Gives results memory: what the caller hands in where that will do.
  void place_results(Frame& frame, std::span<Tensor> results) const;
  Tensor allocate_result(int value) const;
  void check_promises(const Instruction& instruction, const Frame& frame) const;
  // Rethrows the exception being handled as an Error that names the node.
  [[noreturn]] void rethrow_at(const Instruction& at) const;
  void run_traced(const Instruction& instruction, RunContext& context, const Frame& frame, Trace& trace,
                  int lane) const;
  TracePiece piece() const;

  std::vector<Value> values_;
  std::vector<Instruction> instructions_;
  std::vector<Origin> origins_;
  std::vector<Flow::Job> jobs_;       // by instruction, when lanes are used
  std::vector<int> argument_values_;  // by argument; -1 if nobody reads it
  std::vector<std::pair<int, ValueType>> result_values_;
  std::vector<int> readers_;           // by value: how many instructions share it
  std::vector<int> transient_values_;  // neither in the arena nor fixed: emptied after each run
  std::size_t arena_bytes_ = 0;
  int lanes_ = 1;
  bool in_order_ = true;
  ThreadCache& threads_;
  Arenas& arenas_;
  const std::string device_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Frame>> idle_frames_;
};

}  // namespace headrace
