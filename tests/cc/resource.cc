#include "core/registry/resource.h"

#include <atomic>
#include <thread>
#include <vector>

#include "core/graph/handle.h"
#include "core/registry/ops.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

std::vector<float> values_of(const Tensor& tensor) {
  const auto values = tensor.flat<float>();
  return {values.begin(), values.end()};
}

TEST(resource, is_found_by_container_and_name) {
  Resources resources;
  int made = 0;
  const auto get = [&](std::string_view container) {
    return resources.find_or_create<Variable>(container, "w", [&] {
      ++made;
      return std::make_shared<Variable>("w", DType::float32);
    });
  };
  const auto first = get("");
  CHECK(get("") == first);
  CHECK(get("other") != first);
  CHECK_EQ(made, 2);
  CHECK_EQ(resources.list().size(), 2u);
  resources.clear("other");
  CHECK(!resources.find("other", "w"));
  CHECK(resources.find("", "w") == first);
  resources.erase("", "w");
  CHECK(!resources.find("", "w"));
}

TEST(resource, of_another_type_is_an_error) {
  class Other final : public Resource {
    std::string describe() const override { return "something else"; }
  };
  Resources resources;
  resources.find_or_create<Other>("", "w", [] { return std::make_shared<Other>(); });
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument,
                             resources.find_or_create<Variable>(
                                 "", "w", [] { return std::make_shared<Variable>("w", DType::int32); })),
                 "something else");
}

TEST(variable, has_no_value_at_first) {
  Variable variable("weights", DType::float32);
  CHECK(!variable.initialized());
  CHECK_CONTAINS(CHECK_ERROR(failed_precondition, variable.read()), "'weights'");
  CHECK_ERROR(failed_precondition, variable.update([](Tensor&) {}));
  variable.assign(Tensor::scalar(1.0f));
  CHECK(variable.initialized());
  variable.clear();
  CHECK(!variable.initialized());
}

TEST(variable, keeps_its_dtype) {
  Variable variable("w", DType::float32);
  CHECK_ERROR(invalid_argument, variable.assign(Tensor::scalar(std::int32_t(1))));
}

TEST(variable, updates_in_place_unless_a_snapshot_is_held) {
  Variable variable("w", DType::float32);
  variable.assign(Tensor::vector({1.0f, 2.0f}));
  const void* memory = variable.read().raw();
  const auto add = [](Tensor& value) {
    for (float& x : value.flat<float>()) x += 1;
  };
  variable.update(add);
  CHECK(variable.read().raw() == memory);
  const Tensor snapshot = variable.read();
  variable.update(add);
  CHECK(variable.read().raw() != memory);
  CHECK_EQ(values_of(snapshot), (std::vector<float>{2, 3}));
  CHECK_EQ(values_of(variable.read()), (std::vector<float>{3, 4}));
}

TEST(variable, stores_a_copy_in_its_own_memory) {
  Variable variable("w", DType::float32);
  std::vector<float> numbers{1, 2, 3};
  variable.store(Shape{3}, numbers.data());
  const void* memory = variable.read().raw();
  CHECK(memory != numbers.data());
  numbers = {4, 5, 6};
  variable.store(Shape{3}, numbers.data());
  CHECK(variable.read().raw() == memory);
  const Tensor snapshot = variable.read();
  variable.store(Shape{1}, numbers.data());
  CHECK_EQ(values_of(snapshot), numbers);
  const Tensor shorter = variable.read();
  CHECK_EQ(shorter.shape(), Shape{1});
}

TEST(variable, a_failing_update_leaves_the_value) {
  Variable variable("w", DType::float32), slot("slot", DType::float32);
  variable.assign(Tensor::scalar(1.0f));
  slot.assign(Tensor::scalar(2.0f));
  Variable* both[] = {&variable, &slot};
  CHECK_ERROR(aborted, Variable::update(both, [](std::span<Tensor>) { fail(Code::aborted, "no"); }));
  CHECK_EQ(*variable.read().data<float>(), 1.0f);
  CHECK_EQ(*slot.read().data<float>(), 2.0f);
  Variable* twice[] = {&variable, &variable};
  CHECK_ERROR(invalid_argument, Variable::update(twice, [](std::span<Tensor>) {}));
}

TEST(variable, threads_see_whole_updates) {
  constexpr int kThreads = 4, kSteps = 2000, kSize = 64;
  Variable a("a", DType::float32), b("b", DType::float32);
  for (Variable* variable : {&a, &b}) {
    variable->store(Shape{kSize}, std::vector<float>(kSize).data());
  }
  std::atomic<bool> torn{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      // In either order: they are locked in one.
      Variable* both[] = {t % 2 ? &a : &b, t % 2 ? &b : &a};
      for (int step = 0; step < kSteps; ++step) {
        Variable::update(both, [](std::span<Tensor> values) {
          for (const Tensor& value : values) {
            for (float& x : value.flat<float>()) x += 1;
          }
        });
        const Tensor seen = a.read();
        for (const float x : seen.flat<float>()) {
          if (x != *seen.data<float>()) torn = true;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(!torn);
  CHECK_EQ(values_of(b.read()), std::vector<float>(kSize, float(kThreads * kSteps)));
}

TEST(handle, tells_what_its_maker_declares) {
  Graph graph;
  Node& maker = graph.add(
      find_op("VarHandleOp"),
      {.name = "w", .inputs = {}, .attrs = {{"dtype", DType::float32}, {"shape", Shape{2, kUnknown}}}});
  Node& identity = graph.add(find_op("Identity"), {.name = "same", .inputs = {maker.output(0)}});
  const HandleType type = handle_type(identity.output(0));
  CHECK(type.dtype == DType::float32);
  CHECK_EQ(type.shape, (Shape{2, kUnknown}));
  Node& read =
      graph.add(find_op("ReadVariableOp"),
                {.name = "read", .inputs = {identity.output(0)}, .attrs = {{"dtype", DType::float32}}});
  CHECK_EQ(read.shape(0), type.shape);

  Node& argument = graph.add(
      find_op("_Arg"),
      {.name = "argument", .inputs = {}, .attrs = {{"T", DType::resource}, {"index", std::int64_t(0)}}});
  CHECK(handle_type(argument.output(0)).dtype == DType::invalid);
  annotate_argument(argument, type);
  CHECK_EQ(handle_type(argument.output(0)).shape, type.shape);
}

}  // namespace
}  // namespace headrace
