// The specialisations of a function.
#include <algorithm>
#include <list>
#include <unordered_map>

#include "core/graph/handle.h"
#include "core/passes/extract.h"
#include "core/plan/planner.h"

namespace headrace {

namespace {

// What decides about a plan, as words: dtypes are fixed by the function, so shapes and some values.
using Key = std::vector<std::int64_t>;

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::size_t seed = key.size();
    for (std::int64_t word : key) seed = (seed ^ std::size_t(word)) * 0x9e3779b97f4a7c15u;
    return seed ^ (seed >> 32);
  }
};

void append_value(Key& key, const Tensor& value) {
  if (value.dtype() == DType::string) {
    for (const auto& text : value.flat<std::string>()) {
      key.push_back(std::int64_t(text.size()));
      for (char c : text) key.push_back(c);
    }
  } else if (is_plain(value.dtype())) {
    const auto* bytes = static_cast<const unsigned char*>(value.raw());
    key.insert(key.end(), bytes, bytes + value.bytes());
  } else {
    internal("a ", name_of(value.dtype()), " value cannot decide about shapes");
  }
}

void append_type(Key& key, const HandleType& type) {
  key.push_back(int(type.dtype));
  key.push_back(type.shape.has_rank() ? type.shape.rank() : kUnknown);
  if (!type.shape.has_rank()) return;
  for (std::int64_t size : type.shape.dims()) key.push_back(size);
}

}  // namespace

// One specialisation, in the list of its family and in the map of the cache that it belongs to.
struct PlanCache::Entry {
  Entries* owner;
  Key key;
  std::shared_ptr<const Plan> plan;
};

struct PlanCache::Entries {
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> by_key;
};

class PlanCache::Family {
 public:
  std::mutex mutex;         // of the maps too
  std::list<Entry> recent;  // the most recently used first
  std::int64_t planned = 0;
};

PlanCache::PlanCache(std::unique_ptr<Function> function, std::vector<int> value_arguments,
                     PlanEnvironment& environment, std::shared_ptr<Family> family)
    : function_(std::move(function)),
      value_arguments_(std::move(value_arguments)),
      environment_(environment),
      family_(family ? std::move(family) : std::make_shared<Family>()),
      entries_(std::make_unique<Entries>()) {}

PlanCache::~PlanCache() {
  std::list<Entry> ours;  // goes without the lock, which the caches of rests need when they go with it
  const std::lock_guard lock(family_->mutex);
  for (const auto& [key, entry] : entries_->by_key) ours.splice(ours.end(), family_->recent, entry);
}

std::shared_ptr<const Plan> PlanCache::specialise(std::span<const Tensor> arguments) {
  thread_local Key key;
  key.clear();
  for (const Tensor& argument : arguments) {
    key.push_back(argument.shape().rank());
    const auto dims = argument.shape().dims();
    key.insert(key.end(), dims.begin(), dims.end());
    if (argument.dtype() == DType::variant) append_type(key, held_type(argument));
  }
  for (int i : value_arguments_) append_value(key, arguments[i]);

  Entries& entries = *entries_;
  Family& family = *family_;
  std::unique_lock lock(family.mutex);
  if (const auto it = entries.by_key.find(key); it != entries.by_key.end()) {
    if (it->second != family.recent.begin())
      family.recent.splice(family.recent.begin(), family.recent, it->second);
    return it->second->plan;
  }
  lock.unlock();

  const Key made_for = key;  // planning may come back here, on this thread
  auto function = copy(*function_);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    function->arguments[i]->set_shape(0, arguments[i].shape());
    if (arguments[i].dtype() == DType::variant)
      annotate_argument(*function->arguments[i], held_type(arguments[i]));
  }
  for (int i : value_arguments_) {
    Node& argument = *function->arguments[i];
    Node& constant =
        add_constant(function->graph, function->graph.unique_name(argument.name() + "/value"), arguments[i]);
    substitute(*function, {&argument, 0}, {&constant, 0});
  }
  const auto made = Planner(std::move(function), environment_, family_).make();
  auto plan = made;  // which goes without the lock if it is not needed after all

  std::list<Entry> dropped;  // goes after the lock has: with a plan go the entries of its rest
  lock.lock();
  if (const auto it = entries.by_key.find(made_for); it != entries.by_key.end()) {
    plan = it->second->plan;  // somebody was faster
    lock.unlock();
    return plan;
  }
  family.recent.push_front({&entries, made_for, plan});
  entries.by_key.emplace(made_for, family.recent.begin());
  ++family.planned;
  if (family.recent.size() > environment_.options.cache_size) {
    const auto last = std::prev(family.recent.end());
    last->owner->by_key.erase(last->key);
    dropped.splice(dropped.end(), family.recent, last);
  }
  lock.unlock();
  return plan;
}

void PlanCache::run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) {
  specialise(arguments)->run(step, arguments, results);
}

std::size_t PlanCache::size() const {
  std::lock_guard lock(family_->mutex);
  return family_->recent.size();
}

std::int64_t PlanCache::planned() const {
  std::lock_guard lock(family_->mutex);
  return family_->planned;
}

PlanEnvironment::PlanEnvironment(std::vector<Device*> all, PlanOptions given, Resources& state,
                                 Resources& own)
    : devices(std::move(all)), options(std::move(given)), resources(state), kernels{state, own, {}} {
  std::vector<std::string> names;
  for (const Pass& pass : pipeline()) names.emplace_back(pass.name);
  for (const std::string& name : options.disabled_passes) {
    require(std::find(names.begin(), names.end(), name) != names.end(), "there is no pass '", name, "'",
            did_you_mean(name, names));
  }
  kernels.callee = [this](const Function& function) {
    return std::make_shared<PlanCache>(copy(function), std::vector<int>{}, *this);
  };
}

}  // namespace headrace
