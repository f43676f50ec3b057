#include "core/session/session.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <set>
#include <shared_mutex>

#include "core/base/parallel.h"
#include "core/passes/extract.h"

namespace headrace {

struct Session::Signatures {
  using Key = std::tuple<std::vector<Output>, std::vector<Output>, std::vector<Node*>>;
  std::mutex mutex;
  std::map<Key, std::shared_ptr<Callable>> by_key;
};

struct Session::Running {
  std::mutex mutex;
  std::condition_variable ended;
  std::set<Step*> steps;
  bool closed = false;
  std::int64_t next_id = 0;
};

namespace {

// The sessions that there are, by target.
struct Open {
  std::mutex mutex;
  std::multimap<std::string, Session*> sessions;
};
Open& open_sessions() {
  static Open open;
  return open;
}

}  // namespace

// ---- callables

static std::unique_ptr<Function> extract_locked(const Graph& graph, std::span<const Output> fed,
                                                std::span<const Output> fetched,
                                                std::span<Node* const> targets) {
  std::shared_lock lock(graph.mutex());
  return extract(graph, fed, fetched, targets);
}

Callable::Callable(Session& session, std::vector<Output> fed, std::vector<Output> fetched,
                   std::span<Node* const> targets)
    : session_(session),
      fed_(std::move(fed)),
      num_results_(fetched.size()),
      plans_(extract_locked(session.graph(), fed_, fetched, targets), {}, *session.environment_) {}

static void check_feed(const Output& fed, const Tensor& value) {
  if (value.dtype() != fed.dtype()) {
    throw DTypeError(str("'", fed.name(), "' is ", name_of(fed.dtype()), ", the value fed is ",
                         name_of(value.dtype()), "; cast it"));
  }
  require(value.shape().compatible_with(fed.shape()), "'", fed.name(), "' has shape ", fed.shape(),
          ", the value fed has shape ", value.shape(), "; feed a matching value");
}

std::vector<Tensor> Callable::run(std::span<const Tensor> feeds, const RunOptions& options) {
  require(feeds.size() == fed_.size(), "got ", feeds.size(), " values to feed, expected ", fed_.size());
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    in_node(*fed_[i].node, [&] { check_feed(fed_[i], feeds[i]); });
  }
  std::vector<Tensor> results(num_results_);
  session_.execute(plans_, feeds, results, options);
  return results;
}

std::string Callable::describe(std::span<const Tensor> feeds) { return plans_.specialise(feeds)->describe(); }

// ---- sessions

Session::Session(std::shared_ptr<Graph> graph, SessionOptions options)
    : graph_(std::move(graph)),
      options_(std::move(options)),
      resources_(options_.target.empty() ? std::make_shared<Resources>() : shared_resources(options_.target)),
      signatures_(std::make_unique<Signatures>()),
      running_(std::make_unique<Running>()) {
  std::vector<Device*> devices;
  for (const DeviceType& type : device_types()) {
    const auto& named = options_.device_types;
    if (type.on_request && std::find(named.begin(), named.end(), type.type) == named.end()) continue;
    for (int i = 0; i < type.count(); ++i) devices_.push_back(type.factory(i));
  }
  std::stable_partition(devices_.begin(), devices_.end(),
                        [](const auto& device) { return device->type() == "CPU"; });
  for (const auto& device : devices_) devices.push_back(device.get());
  environment_ =
      std::make_unique<PlanEnvironment>(std::move(devices), options_.plan, *resources_, own_resources_);
  Open& open = open_sessions();
  std::lock_guard lock(open.mutex);
  open.sessions.emplace(options_.target, this);
}

Session::~Session() {
  {
    Open& open = open_sessions();
    std::lock_guard lock(open.mutex);
    std::erase_if(open.sessions, [&](const auto& entry) { return entry.second == this; });
  }
  close();
  std::unique_lock lock(running_->mutex);
  running_->ended.wait(lock, [&] { return running_->steps.empty(); });
}

std::shared_ptr<Callable> Session::callable(std::vector<Output> fed, std::vector<Output> fetched,
                                            std::vector<Node*> targets) {
  for (const Output& output : fed) {
    require(&output.node->graph() == graph_.get(), "'", output.name(),
            "' is fed, but is not in the session's graph");
  }
  for (const Output& output : fetched) {
    require(&output.node->graph() == graph_.get(), "'", output.name(),
            "' is fetched, but is not in the session's graph");
  }
  for (const Node* target : targets) {
    require(&target->graph() == graph_.get(), "'", target->name(),
            "' is to run, but is not in the session's graph");
  }
  Signatures::Key key{fed, fetched, targets};
  std::lock_guard lock(signatures_->mutex);
  auto& found = signatures_->by_key[std::move(key)];
  if (!found) found.reset(new Callable(*this, std::move(fed), std::move(fetched), targets));
  return found;
}

std::vector<Tensor> Session::run(std::vector<std::pair<Output, Tensor>> feeds, std::vector<Output> fetches,
                                 std::vector<Node*> targets, const RunOptions& options) {
  std::vector<Output> fed;
  std::vector<Tensor> values;
  for (auto& [output, value] : feeds) {
    fed.push_back(output);
    values.push_back(std::move(value));
  }
  return callable(std::move(fed), std::move(fetches), std::move(targets))->run(values, options);
}

void Session::execute(PlanCache& plans, std::span<const Tensor> feeds, std::span<Tensor> results,
                      const RunOptions& options) {
  if (options_.intra_op_threads > 0) set_num_threads(options_.intra_op_threads);
  Step step;
  step.trace = options.trace;
  step.interrupted = options.interrupted;
  if (options.timeout_ms > 0)
    step.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(options.timeout_ms);

  struct Registered {
    Running& running;
    Step& step;
    Registered(Running& all, Step& one) : running(all), step(one) {
      std::lock_guard lock(running.mutex);
      if (running.closed) fail(Code::failed_precondition, "the session is closed; make a new one");
      step.id = running.next_id++;
      running.steps.insert(&step);
    }
    ~Registered() {
      // Notified under the lock: whoever waits may destroy the session right after.
      std::lock_guard lock(running.mutex);
      running.steps.erase(&step);
      running.ended.notify_all();
    }
  } registered(*running_, step);

  std::vector<Tensor> arguments(feeds.begin(), feeds.end());
  plans.run(step, arguments, results);
  arguments.clear();
  // What is fetched belongs to the caller alone: not a feed's memory, a constant's or a variable's.
  for (Tensor& result : results) {
    if (!result.unique()) result = result.copy();
  }
}

void Session::close() {
  std::lock_guard lock(running_->mutex);
  running_->closed = true;
  for (Step* step : running_->steps) step->cancellation.cancel(Code::cancelled, "the session was closed");
}

bool Session::closed() const {
  std::lock_guard lock(running_->mutex);
  return running_->closed;
}

void Session::reset(const std::string& target, std::span<const std::string> containers) {
  // Plans hold the state that they were made for, so the sessions that have any end with it.
  Open& open = open_sessions();
  std::lock_guard lock(open.mutex);
  const auto [begin, end] = open.sessions.equal_range(target);
  for (auto it = begin; it != end; ++it) it->second->close();
  const auto resources = shared_resources(target);
  if (containers.empty()) resources->clear();
  for (const std::string& container : containers) resources->clear(container);
}

}  // namespace headrace
