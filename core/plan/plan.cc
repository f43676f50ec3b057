#include "core/plan/plan.h"

#include <algorithm>

namespace headrace {

// One run. Values are handed from step to step; steps may run side by side.
class Plan::Run : public Flow {
 public:
  Run(const Plan& plan, Step& step, std::span<Tensor> arguments)
      : Flow(plan.jobs_, *plan.threads_, step, {.jobs_poll = true}),
        plan_(plan),
        step_(step),
        values_(std::size_t(plan.num_values_)),
        readers_(plan.readers_) {
    std::move(arguments.begin(), arguments.end(), values_.begin());
  }

  void run_in_order() {
    for (int job = 0; job < int(plan_.steps_.size()); ++job) {
      step_.cancellation.check();
      execute(job, 0);
    }
  }

  void give(std::span<Tensor> results) {
    for (std::size_t i = 0; i < results.size(); ++i) results[i] = take(plan_.results_[i]);
  }

 private:
  void execute(int job, int) override {
    std::visit([&](const auto& step) { execute(step); }, plan_.steps_[std::size_t(job)]);
  }
  void execute(const Segment& segment) {
    call(segment.inputs, segment.outputs,
         [&](auto in, auto out) { segment.executable->run(step_, in, out); });
  }
  void execute(const Rest& rest) {
    call(rest.inputs, rest.outputs, [&](auto in, auto out) { rest.cache->run(step_, in, out); });
  }
  void execute(const Transfer& transfer) {
    call({&transfer.sent, 1}, {&transfer.received, 1},
         [&](auto in, auto out) { out[0] = transfer.to->copy_in(transfer.from->copy_out(in[0])); });
  }

  // The last reader gets the value itself, so that it may reuse the memory.
  Tensor take(int value) {
    const auto i = std::size_t(value);
    return --readers_[i] == 0 ? std::move(values_[i]) : values_[i];
  }
  template <class F>
  void call(std::span<const int> in, std::span<const int> out, F&& run) {
    std::vector<Tensor> taken, given(out.size());
    taken.reserve(in.size());
    {
      std::lock_guard lock(mutex_);
      for (int value : in) taken.push_back(take(value));
    }
    run(std::span<Tensor>(taken), std::span<Tensor>(given));
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < out.size(); ++i) values_[std::size_t(out[i])] = std::move(given[i]);
  }

  const Plan& plan_;
  Step& step_;
  std::mutex mutex_;  // of what follows
  std::vector<Tensor> values_;
  std::vector<int> readers_;  // still to come
};

void Plan::run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) const {
  if (direct_) return std::get<Segment>(steps_[0]).executable->run(step, arguments, results);
  Run run(*this, step, arguments);
  if (in_order_) {
    run.run_in_order();
  } else {
    run.run();
  }
  run.give(results);
}

std::string Plan::describe() const {
  std::string text;
  for (const auto& one : steps_) {
    if (auto* segment = std::get_if<Segment>(&one)) {
      text += "segment on " + segment->device->name() + "\n" + segment->executable->describe();
    } else if (auto* transfer = std::get_if<Transfer>(&one)) {
      text += "Send " + transfer->tensor + " from " + transfer->from->name() + "\n";
      text += "Recv " + transfer->tensor + " on " + transfer->to->name() + "\n";
    } else {
      text += "rest, planned once the shapes are known:\n";
      for (const Node* node : std::get<Rest>(one).cache->function().graph.topological_order()) {
        if (!node->has(Trait::argument) && !node->constant())
          text += "  " + node->op().name() + " '" + node->name() + "'\n";
      }
    }
  }
  return text;
}

}  // namespace headrace
