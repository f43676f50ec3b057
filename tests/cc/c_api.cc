// The C interface through the C++ front end that stands on it.
#include <atomic>
#include <thread>

#include "core/cc/headrace.hpp"
#include "tests/cc/check.h"

namespace headrace::cc {
namespace {

template <class F>
Error failure(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  throw headrace::testing::Failure("no error");
}

TEST(c_api, builds_and_runs) {
  Graph graph;
  const Node x = graph.placeholder(HR_FLOAT32, {-1, 3}, "x");
  const Node w = graph.constant(Tensor::of<float>({3, 1}, {1, 2, 3}), "w");
  const Node y = graph.add("MatMul", {x, w}, {{"transpose_a", false}});
  CHECK_EQ(y.name(), "MatMul");
  CHECK_EQ(graph.add("MatMul", {x, w}).name(), "MatMul_1");
  CHECK_EQ(Output(y).shape(), (Shape{-1, 1}));
  CHECK_EQ(int(Output(y).dtype()), int(HR_FLOAT32));
  Session session(graph);
  for (int rows : {1, 2}) {
    const Tensor fed = Tensor::of<float>({rows, 3}, std::vector<float>(3 * rows, 2));
    const std::vector<Tensor> results = session.run({{x, fed}}, {y});
    CHECK_EQ(results[0].shape(), (Shape{rows, 1}));
    CHECK_EQ(results[0].values<float>(), std::vector<float>(rows, 12));
  }
}

TEST(c_api, graphs_travel_as_bytes) {
  Graph graph, other;
  graph.add("Identity", {graph.constant(Tensor::scalar<std::int64_t>(7), "c")}, {}, "y", {}, "/cpu:0");
  other.import(graph.graph_def(), "copy");
  const Node y = other.find("copy/y");
  CHECK(bool(y));
  CHECK(!other.find("y"));
  CHECK_EQ(std::string(hr_node_device(y.get())), "/cpu:0");
  CHECK_EQ(hr_node_num_inputs(y.get()), 1);
  CHECK_EQ(Node(hr_node_input(y.get(), 0).node).name(), "copy/c");
  CHECK_EQ(other.nodes().size(), 2u);
  CHECK_EQ(Session(other).run({}, {y})[0].values<std::int64_t>(), std::vector<std::int64_t>{7});
}

TEST(c_api, strings) {
  Graph graph;
  const std::string text("a\0b", 3);
  const Node c = graph.constant(Tensor::strings({2}, {text, ""}));
  const Tensor result = Session(graph).run({}, {c})[0];
  CHECK_EQ(result.text(0), text);
  CHECK_EQ(result.text(1), "");
  CHECK_EQ(failure([&] { result.text(2); }).code(), 3);
}

TEST(c_api, failures_are_status_objects) {
  Graph graph;
  const Node x = graph.placeholder(HR_FLOAT32, {2}, "x");
  CHECK_CONTAINS(failure([&] { graph.add("Identitty", {x}); }).what(), "did you mean 'Identity'");
  CHECK_EQ(failure([&] { graph.add("Identity", {x}, {{"T", hr_dtype(11)}}); }).code(), 3);
  CHECK_EQ(failure([&] { graph.add("Identity", {Output()}); }).code(), 3);
  CHECK_EQ(failure([&] { graph.add("Identity", {x.output(5)}); }).code(), 3);
  CHECK_EQ(failure([&] { graph.import("nonsense"); }).code(), 3);
  CHECK_EQ(failure([&] { Tensor(HR_FLOAT32, {-1}); }).code(), 3);
  CHECK_EQ(failure([&] { Tensor(HR_FLOAT32, {1LL << 40, 1LL << 40}); }).code(), 3);
  Session session(graph);
  const Error unfed = failure([&] { session.run({}, {x}); });
  CHECK_CONTAINS(std::string(unfed.what()), "x");
  const Error misfit = failure([&] { session.run({{x, Tensor::of<float>({3}, {1, 2, 3})}}, {x}); });
  CHECK_EQ(misfit.node(), "x");
  session.close();
  failure([&] { session.run({{x, Tensor::of<float>({2}, {1, 2})}}, {x}); });
  CHECK_EQ(hr_status_code(nullptr), 0);
}

TEST(c_api, lent_memory_is_given_back) {
  static int released = 0;
  released = 0;
  float values[] = {1, 2, 3};
  const std::int64_t dims[] = {3};
  hr_tensor* lent = nullptr;
  const auto release = [](void* context) { ++*static_cast<int*>(context); };
  check(hr_tensor_wrap(HR_FLOAT32, dims, 1, values, sizeof values, release, &released, &lent));
  {
    const Tensor tensor(lent);
    Graph graph;
    const Node x = graph.placeholder(HR_FLOAT32, {3});
    const Tensor result = Session(graph).run({{x, tensor}}, {graph.add("Identity", {x})})[0];
    CHECK_EQ(result.values<float>(), (std::vector<float>{1, 2, 3}));
    CHECK_EQ(released, 0);
  }
  CHECK_EQ(released, 1);
  const Error error = failure(
      [&] { check(hr_tensor_wrap(HR_FLOAT64, dims, 1, values, sizeof values, release, &released, &lent)); });
  CHECK_CONTAINS(std::string(error.what()), "bytes");
  CHECK_EQ(released, 2);
}

TEST(c_api, attributes_of_every_kind) {
  Graph graph;
  const Node node = graph.add("NoOp", {},
                              {{"_s", "text"},
                               {"_i", 3},
                               {"_f", 1.5},
                               {"_b", true},
                               {"_t", HR_INT8},
                               {"_shape", Shape{1, -1}},
                               {"_tensor", Tensor::scalar(2.0f)},
                               {"_func", Function{"f"}},
                               {"_is", Ints{{1, 2}}},
                               {"_fs", std::vector<float>{1}},
                               {"_ss", std::vector<std::string>{"a", "b"}},
                               {"_ts", std::vector<hr_dtype>{HR_BOOL}}});
  Graph copy;
  copy.import(graph.graph_def());
  CHECK_EQ(copy.graph_def(), graph.graph_def());
  CHECK(bool(node));
}

TEST(c_api, operations_are_listed) {
  hr_bytes* list = nullptr;
  check(hr_op_list(&list));
  CHECK_CONTAINS(take_text(list), "MatMul");
}

}  // namespace
}  // namespace headrace::cc
