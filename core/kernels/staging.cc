// Kernels of staging areas.
#include <algorithm>
#include <deque>
#include <map>

#include "core/kernels/elements.h"
#include "core/kernels/waking.h"

namespace headrace {
namespace {

std::int64_t bytes_of(const Tuple& element) {
  std::int64_t bytes = 0;
  for (const Tensor& tensor : element) bytes += tensor ? std::int64_t(tensor.bytes()) : 0;
  return bytes;
}

// What both kinds share: limits, and waiting.
class Staging : public Resource {
 public:
  // No limit where they are 0.
  Staging(std::string name, std::int64_t capacity, std::int64_t memory_limit)
      : capacity_(capacity), memory_limit_(memory_limit), name_(std::move(name)) {}
  std::string describe() const override { return "staging area '" + name_ + "'"; }

 protected:
  std::int64_t checked_bytes_of(const Tuple& element) const {
    const std::int64_t bytes = bytes_of(element);
    if (memory_limit_ > 0 && bytes > memory_limit_) {
      fail(Code::resource_exhausted, "an element of ", bytes, " bytes does not fit ", describe(),
           ", whose memory_limit is ", memory_limit_);
    }
    return bytes;
  }
  bool has_room(std::size_t elements, std::int64_t bytes) const {
    return (capacity_ == 0 || std::int64_t(elements) < capacity_) &&
           (memory_limit_ == 0 || bytes_ + bytes <= memory_limit_);
  }
  // Waits until ready() holds, and acts.
  template <class Ready, class Act>
  void change(Step& step, Ready ready, Act act) {
    const Waking waking(step, mutex_, changed_);
    std::unique_lock lock(mutex_);
    while (true) {
      step.cancellation.check();
      if (ready()) break;
      changed_.wait(lock);
    }
    act();
    changed_.notify_all();
  }

  const std::int64_t capacity_, memory_limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t bytes_ = 0;

 private:
  const std::string name_;
};

class StagingArea final : public Staging {
 public:
  using Staging::Staging;

  void put(Step& step, Tuple element) {
    const std::int64_t bytes = checked_bytes_of(element);
    change(
        step, [&] { return has_room(elements_.size(), bytes); },
        [&] {
          elements_.push_back(std::move(element));
          bytes_ += bytes;
        });
  }

  Tuple take(Step& step) {
    Tuple first;
    change(
        step, [&] { return !elements_.empty(); },
        [&] {
          first = std::move(elements_.front());
          elements_.pop_front();
          bytes_ -= bytes_of(first);
        });
    return first;
  }

  Tuple peek(Step& step, std::int64_t index) {
    require(index >= 0, "index is ", index, "; it must not be negative");
    Tuple found;
    change(
        step, [&] { return std::int64_t(elements_.size()) > index; },
        [&] { found = elements_[std::size_t(index)]; });
    return found;
  }

  std::int64_t size() const {
    std::lock_guard lock(mutex_);
    return std::int64_t(elements_.size());
  }

  void clear() {
    std::lock_guard lock(mutex_);
    elements_.clear();
    bytes_ = 0;
    changed_.notify_all();
  }

 private:
  std::deque<Tuple> elements_;
};

// Elements under keys. They may come and go by component; an element that is complete is not given more.
class MapStagingArea final : public Staging {
 public:
  using Staging::Staging;

  // Values for some places of an element of `components`.
  void put(Step& step, std::int64_t key, std::span<const std::int32_t> places, Tuple values,
           std::size_t components) {
    check(places, components);
    const std::int64_t bytes = checked_bytes_of(values);
    change(
        step,
        [&] {
          const bool begun = incomplete_.contains(key);
          return has_room(complete_.size(), bytes) || (begun && has_room(0, bytes));
        },
        [&] {
          // The first value of a key stays.
          if (complete_.contains(key)) return;
          Tuple& element = incomplete_.try_emplace(key, components).first->second;
          require(element.size() == components, "key ", key, " has ", element.size(),
                  " components already, not ", components);
          for (std::int32_t place : places) {
            require(!element[std::size_t(place)], "key ", key, " has component ", place, " already");
          }
          for (std::size_t i = 0; i < places.size(); ++i) element[std::size_t(places[i])] = values[i];
          bytes_ += bytes;
          if (std::all_of(element.begin(), element.end(), [](const Tensor& one) { return bool(one); }))
            complete_.insert(incomplete_.extract(key));
        });
  }

  Tuple take(Step& step, std::int64_t key, std::span<const std::int32_t> places) {
    Tuple values;
    change(
        step, [&] { return complete_.contains(key); },
        [&] { values = take_from(complete_.find(key), places); });
    return values;
  }
  std::pair<std::int64_t, Tuple> take_any(Step& step, std::span<const std::int32_t> places) {
    std::pair<std::int64_t, Tuple> taken;
    change(
        step, [&] { return !complete_.empty(); },
        [&] {
          taken.first = complete_.begin()->first;
          taken.second = take_from(complete_.begin(), places);
        });
    return taken;
  }
  Tuple peek(Step& step, std::int64_t key, std::span<const std::int32_t> places) {
    Tuple values;
    change(
        step, [&] { return complete_.contains(key); }, [&] { values = look(*complete_.find(key), places); });
    return values;
  }

  std::int64_t size() const {
    std::lock_guard lock(mutex_);
    return std::int64_t(complete_.size());
  }
  std::int64_t incomplete() const {
    std::lock_guard lock(mutex_);
    return std::int64_t(incomplete_.size());
  }
  void clear() {
    std::lock_guard lock(mutex_);
    complete_.clear();
    incomplete_.clear();
    bytes_ = 0;
    changed_.notify_all();
  }

 private:
  using Elements = std::map<std::int64_t, Tuple>;

  static void check(std::span<const std::int32_t> places, std::size_t components) {
    require(!places.empty(), "there are no indices; name at least one component");
    for (std::size_t i = 0; i < places.size(); ++i) {
      require(places[i] >= 0 && std::size_t(places[i]) < components, "an index is ", places[i],
              "; elements have ", components, " components");
      require(i == 0 || places[i - 1] < places[i], "the indices must ascend: ", places[i], " follows ",
              places[i - 1]);
    }
  }
  static Tuple look(const Elements::value_type& entry, std::span<const std::int32_t> places) {
    check(places, entry.second.size());
    Tuple values;
    for (std::int32_t place : places) {
      const Tensor& one = entry.second[std::size_t(place)];
      require(bool(one), "component ", place, " of key ", entry.first, " has been taken already");
      values.push_back(one);
    }
    return values;
  }
  Tuple take_from(Elements::iterator it, std::span<const std::int32_t> places) {
    Tuple values = look(*it, places);
    bytes_ -= bytes_of(values);
    for (std::int32_t place : places) it->second[std::size_t(place)] = Tensor();
    const Tuple& left = it->second;
    if (std::none_of(left.begin(), left.end(), [](const Tensor& one) { return bool(one); }))
      complete_.erase(it);
    return values;
  }

  Elements complete_, incomplete_;
};

std::shared_ptr<StagingArea> area_of(PrepareContext& c) {
  const std::string& name = resource_name(c);
  return c.resources().find_or_create<StagingArea>(c.attr<std::string>("container"), name, [&] {
    return std::make_shared<StagingArea>(name, c.attr<std::int64_t>("capacity"),
                                         c.attr<std::int64_t>("memory_limit"));
  });
}

std::unique_ptr<Kernel> prepare_stage(PrepareContext& c) {
  return kernel([area = area_of(c), n = c.num_inputs()](RunContext& r) {
    Tuple element;
    for (int i = 0; i < n; ++i) element.push_back(r.input_tensor(i));
    area->put(r.step(), std::move(element));
  });
}

// Hands over an element, checked to be of the dtypes that the node was made for.
void give(RunContext& r, Tuple element, const std::vector<DType>& dtypes, int first = 0) {
  require(element.size() == dtypes.size(), "the element has ", element.size(), " components, expected ",
          dtypes.size());
  for (std::size_t i = 0; i < dtypes.size(); ++i) {
    if (element[i].dtype() != dtypes[i])
      throw DTypeError(
          str("component ", i, " is ", name_of(element[i].dtype()), ", not ", name_of(dtypes[i])));
  }
  for (std::size_t i = 0; i < dtypes.size(); ++i) r.set_output(first + int(i), std::move(element[i]));
}

std::unique_ptr<Kernel> prepare_unstage(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return kernel([area = area_of(c), dtypes = c.attr<std::vector<DType>>("dtypes")](RunContext& r) {
    give(r, area->take(r.step()), dtypes);
  });
}

std::unique_ptr<Kernel> prepare_peek(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return kernel([area = area_of(c), dtypes = c.attr<std::vector<DType>>("dtypes")](RunContext& r) {
    give(r, area->peek(r.step(), *r.input<std::int32_t>(0)), dtypes);
  });
}

std::unique_ptr<Kernel> prepare_size(PrepareContext& c) {
  return kernel(
      [area = area_of(c)](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t(area->size()); });
}

std::unique_ptr<Kernel> prepare_clear(PrepareContext& c) {
  return kernel([area = area_of(c)](RunContext&) { area->clear(); });
}

// ---- with keys

std::shared_ptr<MapStagingArea> map_of(PrepareContext& c) {
  const std::string& name = resource_name(c);
  return c.resources().find_or_create<MapStagingArea>(c.attr<std::string>("container"), name, [&] {
    return std::make_shared<MapStagingArea>(name, c.attr<std::int64_t>("capacity"),
                                            c.attr<std::int64_t>("memory_limit"));
  });
}

// Places of components, given as input i.
std::function<std::span<const std::int32_t>(const RunContext&)> places_of(const PrepareContext& c, int i) {
  return [i, n = std::size_t(c.input_shape(i).size())](const RunContext& r) {
    return std::span(r.input<std::int32_t>(i), n);
  };
}

std::unique_ptr<Kernel> prepare_map_stage(PrepareContext& c) {
  return kernel([area = map_of(c), places = places_of(c, 1), n = c.num_inputs(),
                 dtypes = c.attr<std::vector<DType>>("dtypes")](RunContext& r) {
    Tuple values;
    for (int i = 2; i < n; ++i) values.push_back(r.input_tensor(i));
    const auto indices = places(r);
    require(indices.size() == values.size(), "there are ", indices.size(), " indices and ", values.size(),
            " values; give the place of each");
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto place = std::size_t(indices[i]);
      if (place < dtypes.size() && values[i].dtype() != dtypes[place]) {
        throw DTypeError(str("component ", place, " is ", name_of(dtypes[place]), ", not ",
                             name_of(values[i].dtype()), "; cast it"));
      }
    }
    area->put(r.step(), *r.input<std::int64_t>(0), indices, std::move(values), dtypes.size());
  });
}

template <auto take>
std::unique_ptr<Kernel> prepare_map_take(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return kernel([area = map_of(c), places = places_of(c, 1),
                 dtypes = c.attr<std::vector<DType>>("dtypes")](RunContext& r) {
    give(r, (*area.*take)(r.step(), *r.input<std::int64_t>(0), places(r)), dtypes);
  });
}

std::unique_ptr<Kernel> prepare_map_take_any(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return kernel([area = map_of(c), places = places_of(c, 0),
                 dtypes = c.attr<std::vector<DType>>("dtypes")](RunContext& r) {
    auto [key, values] = area->take_any(r.step(), places(r));
    r.set_output(0, Tensor::scalar(key));
    give(r, std::move(values), dtypes, 1);
  });
}

template <auto size>
std::unique_ptr<Kernel> prepare_map_size(PrepareContext& c) {
  return kernel(
      [area = map_of(c)](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t((*area.*size)()); });
}

std::unique_ptr<Kernel> prepare_map_clear(PrepareContext& c) {
  return kernel([area = map_of(c)](RunContext&) { area->clear(); });
}

}  // namespace

HEADRACE_KERNELS(staging) {
  add_kernel("Stage", prepare_stage);
  add_kernel("Unstage", prepare_unstage);
  add_kernel("StagePeek", prepare_peek);
  add_kernel("StageSize", prepare_size);
  add_kernel("StageClear", prepare_clear);
  for (const std::string kind : {"Map", "OrderedMap"}) {
    add_kernel(kind + "Stage", prepare_map_stage);
    add_kernel(kind + "Unstage", prepare_map_take<&MapStagingArea::take>);
    add_kernel(kind + "UnstageNoKey", prepare_map_take_any);
    add_kernel(kind + "Peek", prepare_map_take<&MapStagingArea::peek>);
    add_kernel(kind + "Size", prepare_map_size<&MapStagingArea::size>);
    add_kernel(kind + "IncompleteSize", prepare_map_size<&MapStagingArea::incomplete>);
    add_kernel(kind + "Clear", prepare_map_clear);
  }
}

}  // namespace headrace
