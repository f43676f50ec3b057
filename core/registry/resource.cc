#include "core/registry/resource.h"

#include <algorithm>

namespace headrace {

ResourceRef Resources::find_or_create_any(std::string_view container, std::string_view name,
                                          const std::function<ResourceRef()>& make) {
  std::lock_guard lock(mutex_);
  ResourceRef& entry = entries_[{std::string(container), std::string(name)}];
  if (!entry) entry = make();
  return entry;
}

ResourceRef Resources::find(std::string_view container, std::string_view name) const {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(std::pair{std::string(container), std::string(name)});
  return it == entries_.end() ? nullptr : it->second;
}

void Resources::erase(std::string_view container, std::string_view name) {
  std::lock_guard lock(mutex_);
  entries_.erase({std::string(container), std::string(name)});
}

void Resources::clear(std::string_view container) {
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const auto& entry) { return entry.first.first == container; });
}

void Resources::clear() {
  std::lock_guard lock(mutex_);
  entries_.clear();
}

std::vector<std::array<std::string, 3>> Resources::list() const {
  std::lock_guard lock(mutex_);
  std::vector<std::array<std::string, 3>> rows;
  for (const auto& [key, resource] : entries_) rows.push_back({key.first, key.second, resource->describe()});
  return rows;
}

std::shared_ptr<Resources> shared_resources(const std::string& target) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<Resources>> by_target;
  std::lock_guard lock(mutex);
  auto& shared = by_target[target];
  if (!shared) shared = std::make_shared<Resources>();
  return shared;
}

std::string Variable::describe() const {
  return "variable '" + name_ + "' of dtype " + std::string(name_of(dtype_));
}

bool Variable::initialized() const {
  std::lock_guard lock(mutex_);
  return bool(value_);
}

void Variable::fail_uninitialized() const {
  fail(Code::failed_precondition, "variable '", name_,
       "' has no value yet; run its initializer first, for instance global_variables_initializer()");
}

Tensor Variable::read() const {
  std::lock_guard lock(mutex_);
  if (!value_) fail_uninitialized();
  value_.buffer()->settle();
  return value_;
}

void Variable::assign(Tensor value) {
  if (value.dtype() != dtype_) {
    throw DTypeError(str("variable '", name_, "' is ", name_of(dtype_), ", the value assigned is ",
                         name_of(value.dtype())));
  }
  std::lock_guard lock(mutex_);
  value_ = std::move(value);
}

void Variable::store(const Shape& shape, const void* elements) {
  std::lock_guard lock(mutex_);
  if (!value_ || !value_.unique() || value_.shape() != shape) value_ = Tensor(dtype_, shape);
  copy_elements(dtype_, elements, value_.raw(), value_.size());
}

void Variable::clear() {
  std::lock_guard lock(mutex_);
  value_ = Tensor();
}

Tensor& Variable::writable() {
  if (!value_) fail_uninitialized();
  if (!value_.unique()) value_ = value_.copy();
  return value_;
}

void Variable::update(const std::function<void(Tensor&)>& f) {
  std::lock_guard lock(mutex_);
  f(writable());
}

void Variable::update(std::span<Variable* const> variables, const std::function<void(std::span<Tensor>)>& f) {
  std::vector<Variable*> ordered(variables.begin(), variables.end());
  std::sort(ordered.begin(), ordered.end());
  ordered.erase(std::unique(ordered.begin(), ordered.end()), ordered.end());
  require(ordered.size() == variables.size(), "variable '", variables[0]->name_,
          "' is given more than once in one update");
  std::vector<std::unique_lock<std::mutex>> locks;
  for (Variable* variable : ordered) locks.emplace_back(variable->mutex_);
  for (Variable* variable : variables) variable->writable();
  // Moved out so that each is the only holder, and back whatever f does.
  std::vector<Tensor> values;
  for (Variable* variable : variables) values.push_back(std::move(variable->value_));
  const auto give_back = [&] {
    for (std::size_t i = 0; i < values.size(); ++i) variables[i]->value_ = std::move(values[i]);
  };
  try {
    f(values);
  } catch (...) {
    give_back();
    throw;
  }
  give_back();
}

}  // namespace headrace
