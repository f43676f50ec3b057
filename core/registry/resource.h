// State that outlives a step, held by name in containers and shared by all steps of all sessions that name
// it.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "core/base/tensor.h"

namespace headrace {

// The name "" is the default container. Safe to use from any thread.
class Resources {
 public:
  // The resource of this name, made by `make` if there is none. InvalidArgument if there is one of another
  // type.
  template <class T, class Make>
  std::shared_ptr<T> find_or_create(std::string_view container, std::string_view name, Make&& make) {
    ResourceRef found = find_or_create_any(container, name, [&]() -> ResourceRef { return make(); });
    auto typed = std::dynamic_pointer_cast<T>(found);
    require(typed != nullptr, "resource '", name, "' is ", found->describe(),
            ", not what this operation expects");
    return typed;
  }
  ResourceRef find(std::string_view container, std::string_view name) const;  // nullptr if there is none
  void erase(std::string_view container, std::string_view name);
  void clear(std::string_view container);
  void clear();
  // (container, name, description) of each, sorted: for debugging and tests.
  std::vector<std::array<std::string, 3>> list() const;

 private:
  ResourceRef find_or_create_any(std::string_view container, std::string_view name,
                                 const std::function<ResourceRef()>& make);
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, ResourceRef, std::less<>> entries_;
};

// The state that sessions with this (non-empty) target share for the life of the process.
std::shared_ptr<Resources> shared_resources(const std::string& target);

// A variable: a tensor that steps read as a snapshot and update under a lock.
class Variable : public Resource {
 public:
  explicit Variable(std::string name, DType dtype) : name_(std::move(name)), dtype_(dtype) {}
  const std::string& name() const { return name_; }
  DType dtype() const { return dtype_; }
  std::string describe() const override;

  bool initialized() const;
  // The value now; it never changes under the holder. FailedPrecondition if there is none yet.
  Tensor read() const;
  void assign(Tensor value);
  // Assigns a copy of `elements`, written over the old value where nobody else holds that.
  void store(const Shape& shape, const void* elements);
  // Calls f(value) under the lock with a tensor that nobody else holds (copied first if somebody does), to be
  // changed in place. FailedPrecondition if there is no value yet.
  void update(const std::function<void(Tensor& value)>& f);
  // The same for several variables at once (a parameter and its slots), locked in address order.
  static void update(std::span<Variable* const> variables,
                     const std::function<void(std::span<Tensor> values)>& f);
  void clear();  // uninitialised again

 private:
  [[noreturn]] void fail_uninitialized() const;
  Tensor& writable();  // under the lock
  const std::string name_;
  const DType dtype_;
  mutable std::mutex mutex_;
  Tensor value_;
};

}  // namespace headrace
