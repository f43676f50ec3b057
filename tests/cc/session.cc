// Passes, plans and sessions, watched by operations of the tests' own.
#include "core/session/session.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "core/passes/extract.h"
#include "core/registry/kernel.h"
#include "core/registry/trace.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

std::atomic<int> counted{0}, waiting{0};

// Passes x on, counting how often it ran.
HEADRACE_OPS(tests) {
  op("TestCount").in("x: T").out("y: T").attr("T: type").shape(same_shape).doc("Counts.");
  op("TestEffect")
      .in("x: T")
      .out("y: T")
      .attr("T: type")
      .traits(Trait::stateful)
      .shape(same_shape)
      .doc("Counts.");
  op("TestWait")
      .in("x: T")
      .out("y: T")
      .attr("T: type")
      .traits(Trait::stateful, Trait::blocking)
      .shape(same_shape)
      .doc("Waits until the step is cancelled.");
  op("TestFail")
      .in("x: T")
      .out("y: T")
      .attr("T: type")
      .traits(Trait::stateful)
      .shape(same_shape)
      .doc("Fails.");
  // The first n elements, where n is data.
  op("TestHead")
      .in("x: float32", "n: int32")
      .out("y: float32")
      .doc("Takes the head.")
      .shape([](ShapeContext& c) {
        const auto n = c.int_value(1);
        require(!n || *n >= 0, "n must not be negative");
        c.output(0, {n ? *n : kUnknown});
      });
}

std::unique_ptr<Kernel> prepare_count(PrepareContext& c) {
  const std::size_t bytes = std::size_t(c.output_shape(0).size()) * size_of(c.output_dtype(0));
  return kernel([bytes](RunContext& r) {
    ++counted;
    std::memcpy(r.output<char>(0), r.input<char>(0), bytes);
  });
}

HEADRACE_KERNELS(tests) {
  add_kernel("TestCount", prepare_count);
  add_kernel("TestEffect", prepare_count);
  add_kernel("TestFail",
             [](PrepareContext&) { return kernel([](RunContext&) { invalid("as it should"); }); });
  add_kernel("TestWait", [](PrepareContext&) {
    return kernel([](RunContext& r) {
      std::mutex mutex;
      std::condition_variable woken;
      bool cancelled = false;
      const std::int64_t token = r.step().cancellation.on_cancel([&] {
        std::lock_guard lock(mutex);
        cancelled = true;
        woken.notify_all();
      });
      ++waiting;
      {
        std::unique_lock lock(mutex);
        woken.wait(lock, [&] { return cancelled; });
      }
      --waiting;
      r.step().cancellation.forget(token);
      r.step().cancellation.check();
    });
  });
  add_kernel("TestHead", [](PrepareContext& c) {
    const std::size_t bytes = std::size_t(c.output_shape(0).size()) * sizeof(float);
    return kernel([bytes](RunContext& r) { std::memcpy(r.output<float>(0), r.input<float>(0), bytes); });
  });
}

struct Bench {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();

  Output placeholder(std::string name, Shape shape, DType dtype = DType::float32) {
    return add("Placeholder", std::move(name), {}, {{"dtype", dtype}, {"shape", shape}}).output(0);
  }
  Output constant(std::string name, Tensor value) {
    return add_constant(*graph, std::move(name), std::move(value)).output(0);
  }
  Node& add(std::string op, std::string name, std::vector<Output> inputs, AttrMap attrs = {},
            std::vector<Node*> after = {}, std::string device = {}) {
    return graph->add(find_op(op), {.name = std::move(name),
                                    .inputs = std::move(inputs),
                                    .attrs = std::move(attrs),
                                    .control_inputs = std::move(after),
                                    .device = std::move(device),
                                    .source = "here.py:7"});
  }
  Output of(std::string op, std::string name, std::vector<Output> inputs, AttrMap attrs = {}) {
    return add(std::move(op), std::move(name), std::move(inputs), std::move(attrs)).output(0);
  }
};

SessionOptions verified() {
  SessionOptions options;
  options.plan.verify = true;
  options.plan.compile.verify = true;
  return options;
}

Tensor floats(std::initializer_list<float> values) { return Tensor::vector<float>(values); }
std::vector<float> values_of(const Tensor& tensor) {
  const auto flat = tensor.flat<float>();
  return {flat.begin(), flat.end()};
}

// The function of the results after the passes.
std::unique_ptr<Function> planned(Bench& bench, std::vector<Output> fed, std::vector<Output> results) {
  auto function = extract(*bench.graph, fed, results, {});
  Resources resources;
  run_passes(*function, {}, true, resources);
  return function;
}

// ---- passes

TEST(passes, constants_are_folded_once) {
  Bench bench;
  const Output c = bench.of("TestCount", "count", {bench.constant("c", floats({1, 2}))});
  const Output sum = bench.of("AddV2", "sum", {c, bench.placeholder("x", {2})});
  Session session(bench.graph, verified());
  counted = 0;
  for (int i = 0; i < 3; ++i) {
    const auto results = session.run({{bench.graph->find("x")->output(0), floats({10, 20})}}, {sum});
    CHECK_EQ(values_of(results[0]), (std::vector<float>{11, 22}));
  }
  CHECK_EQ(counted.load(), 1);
}

TEST(passes, effects_are_not_folded_merged_or_removed) {
  Bench bench;
  const Output c = bench.constant("c", floats({1}));
  const Output a = bench.of("TestEffect", "a", {c}), b = bench.of("TestEffect", "b", {c});
  Session session(bench.graph, verified());
  counted = 0;
  for (int i = 0; i < 3; ++i) session.run({}, {bench.graph->find("a")->output(0)}, {b.node});
  CHECK_EQ(counted.load(), 6);
  (void)a;
}

TEST(passes, the_same_is_computed_once) {
  Bench bench;
  const Output x = bench.placeholder("x", {3});
  const Output a = bench.of("TestCount", "a", {x}), b = bench.of("TestCount", "b", {x});
  const Output sum = bench.of("AddV2", "sum", {a, b});
  const auto function = planned(bench, {x}, {sum});
  CHECK(function->results[0].node->input(0) == function->results[0].node->input(1));
  Session session(bench.graph, verified());
  counted = 0;
  CHECK_EQ(values_of(session.run({{x, floats({1, 2, 3})}}, {sum})[0]), (std::vector<float>{2, 4, 6}));
  CHECK_EQ(counted.load(), 1);

  SessionOptions options = verified();
  options.plan.disabled_passes = {"common_subexpressions"};
  Session plain(bench.graph, options);
  counted = 0;
  plain.run({{x, floats({1, 2, 3})}}, {sum});
  CHECK_EQ(counted.load(), 2);
}

TEST(passes, algebra_and_identities) {
  Bench bench;
  const Output x = bench.placeholder("x", {2});
  const Output same = bench.of("Identity", "same", {x});
  const Output twice = bench.of("Neg", "back", {bench.of("Neg", "there", {same})});
  const Output zero = bench.of("AddV2", "zero", {twice, bench.constant("0", Tensor::scalar(0.0f))});
  const Output one = bench.of("Mul", "one", {bench.constant("1", Tensor::scalar(1.0f)), zero});
  const auto function = planned(bench, {x}, {one});
  CHECK(function->results[0].node == function->arguments[0]);
  // A neutral element that broadcasts is not neutral.
  const Output wide = bench.of(
      "AddV2", "wide", {x, bench.constant("00", Tensor::vector<float>({0, 0, 0, 0}).reshaped({2, 2}))});
  const auto broadcast = planned(bench, {x}, {wide});
  CHECK(broadcast->results[0].node != broadcast->arguments[0]);
  CHECK_EQ(broadcast->results[0].shape(), (Shape{2, 2}));
}

// ---- plans

TEST(plan, specialisations_are_kept_and_bounded) {
  Bench bench;
  const Output x = bench.placeholder("x", {kUnknown});
  const Output y = bench.of("Neg", "y", {x});
  SessionOptions options = verified();
  options.plan.cache_size = 2;
  Session session(bench.graph, options);
  const auto callable = session.callable({x}, {y}, {});
  CHECK(callable == session.callable({x}, {y}, {}));
  const auto run = [&](std::int64_t size) {
    Tensor fed(DType::float32, {size});
    std::fill_n(fed.data<float>(), size, 1.0f);
    CHECK_EQ(values_of(callable->run(std::span(&fed, 1))[0]), std::vector<float>(std::size_t(size), -1));
  };
  for (int i = 0; i < 3; ++i) run(3);
  CHECK_EQ(callable->num_planned(), 1);
  run(4);
  run(3);
  run(5);  // 4 was used least recently and goes
  CHECK_EQ(callable->num_plans(), 2u);
  run(3);
  CHECK_EQ(callable->num_planned(), 3);
  run(4);
  CHECK_EQ(callable->num_planned(), 4);
}

TEST(plan, shapes_that_depend_on_data_cut_it) {
  Bench bench;
  const Output x = bench.placeholder("x", {4}), n = bench.placeholder("n", {}, DType::int32);
  const Output m = bench.of("AddV2", "m", {n, bench.constant("one", Tensor::scalar<std::int32_t>(1))});
  const Output head = bench.of("TestHead", "head", {x, m});
  const Output y = bench.of("Neg", "y", {head});
  CHECK_EQ(y.shape(), Shape{kUnknown});
  Session session(bench.graph, verified());
  for (int size : {0, 2, 1, 2}) {
    const auto results =
        session.run({{x, floats({1, 2, 3, 4})}, {n, Tensor::scalar<std::int32_t>(size)}}, {y, m});
    CHECK_EQ(results[0].shape(), Shape{size + 1});
    CHECK_EQ(results[0].data<float>()[size], -float(size + 1));
  }
  const std::string message = CHECK_ERROR(
      invalid_argument, session.run({{x, floats({1, 2, 3, 4})}, {n, Tensor::scalar<std::int32_t>(-5)}}, {y}));
  CHECK_CONTAINS(message, "[TestHead 'head'] n must not be negative");
  CHECK_CONTAINS(message, "here.py:7");
}

TEST(plan, what_crosses_devices_is_sent) {
  Bench bench;
  const Output x = bench.placeholder("x", {2});
  const Output there = bench.add("Neg", "there", {x}, {}, {}, "/device:NULL:1").output(0);
  const Output back = bench.add("Neg", "back", {there}, {}, {}, "/device:CPU:0").output(0);
  SessionOptions options = verified();
  options.device_types = {"NULL"};
  Session session(bench.graph, options);
  const auto callable = session.callable({x}, {back}, {});
  const Tensor fed = floats({1, 2});
  const std::string plan = callable->describe(std::span(&fed, 1));
  CHECK_CONTAINS(plan, "/device:NULL:1");
  CHECK_CONTAINS(plan, "Send");
  CHECK_CONTAINS(plan, "there");
  CHECK_EQ(values_of(callable->run(std::span(&fed, 1))[0]), (std::vector<float>{-0.0f, -0.0f}));
}

TEST(plan, devices_that_are_not_there) {
  Bench bench;
  const Output y = bench.add("Neg", "y", {bench.placeholder("x", {1})}, {}, {}, "/device:GPU:7").output(0);
  const Output x = bench.graph->find("x")->output(0);
  Session soft(bench.graph, verified());
  CHECK_EQ(values_of(soft.run({{x, floats({1})}}, {y})[0]), std::vector<float>{-1});
  SessionOptions options = verified();
  options.plan.allow_soft_placement = false;
  Session strict(bench.graph, options);
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, strict.run({{x, floats({1})}}, {y})), "GPU:7");
}

// ---- sessions

TEST(session, feeds_are_checked) {
  Bench bench;
  const Output x = bench.placeholder("x", {2}), y = bench.of("Neg", "y", {x});
  Session session(bench.graph, verified());
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, session.run({{x, floats({1})}}, {y})), "shape");
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, session.run({{x, Tensor::vector<std::int32_t>({1, 2})}}, {y})),
                 "int32");
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, session.run({}, {y})), "x");
  // Any output can be fed, and what is fed is not computed.
  CHECK_EQ(values_of(session.run({{y, floats({5, 6})}}, {y})[0]), (std::vector<float>{5, 6}));
  Bench other;
  const Output stranger = other.placeholder("x", {2});
  CHECK_ERROR(invalid_argument, session.run({{stranger, floats({1, 2})}}, {y}));
}

TEST(session, results_are_the_callers_own) {
  Bench bench;
  const Output x = bench.placeholder("x", {2}), c = bench.constant("c", floats({1, 2}));
  Session session(bench.graph, verified());
  const Tensor fed = floats({3, 4});
  auto results = session.run({{x, fed}}, {x, c});
  results[0].data<float>()[0] = results[1].data<float>()[0] = 100;
  CHECK_EQ(values_of(fed), (std::vector<float>{3, 4}));
  CHECK_EQ(values_of(session.run({}, {c})[0]), (std::vector<float>{1, 2}));
}

TEST(session, a_failing_step_leaves_it_usable) {
  Bench bench;
  const Output x = bench.placeholder("x", {2}), bad = bench.of("TestFail", "bad", {x}),
               y = bench.of("Neg", "y", {x});
  Session session(bench.graph, verified());
  for (int i = 0; i < 3; ++i) {
    const std::string message = CHECK_ERROR(invalid_argument, session.run({{x, floats({1, 2})}}, {bad, y}));
    CHECK_CONTAINS(message, "[TestFail 'bad'] as it should (node made at here.py:7)");
    CHECK_EQ(values_of(session.run({{x, floats({1, 2})}}, {y})[0]), (std::vector<float>{-1, -2}));
  }
}

void wait_for_waiting(int count) {
  while (waiting.load() < count) std::this_thread::yield();
}

TEST(session, timeouts) {
  Bench bench;
  const Output x = bench.placeholder("x", {1}), y = bench.of("TestWait", "y", {x});
  Session session(bench.graph, verified());
  RunOptions options;
  options.timeout_ms = 30;
  CHECK_ERROR(deadline_exceeded, session.run({{x, floats({1})}}, {y}, {}, options));
  CHECK_EQ(waiting.load(), 0);
}

TEST(session, interruption) {
  Bench bench;
  const Output x = bench.placeholder("x", {1}), y = bench.of("TestWait", "y", {x});
  Session session(bench.graph, verified());
  std::atomic<bool> stop{false};
  RunOptions options;
  options.interrupted = [&] { return stop.load(); };
  std::thread other([&] {
    wait_for_waiting(1);
    stop = true;
  });
  CHECK_ERROR(cancelled, session.run({{x, floats({1})}}, {y}, {}, options));
  other.join();
}

TEST(session, closing_cancels_what_runs) {
  Bench bench;
  const Output x = bench.placeholder("x", {1}), y = bench.of("TestWait", "y", {x});
  Session session(bench.graph, verified());
  std::atomic<int> cancelled{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      try {
        session.run({{x, floats({1})}}, {y});
      } catch (const Error& error) {
        if (error.code() == Code::cancelled) ++cancelled;
      }
    });
  }
  wait_for_waiting(4);
  session.close();
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(cancelled.load(), 4);
  CHECK(session.closed());
  CHECK_ERROR(failed_precondition, session.run({{x, floats({1})}}, {x}));
}

TEST(session, another_failure_ends_what_waits) {
  Bench bench;
  const Output x = bench.placeholder("x", {1});
  const Output wait = bench.of("TestWait", "wait", {x}), bad = bench.of("TestFail", "bad", {x});
  Session session(bench.graph, verified());
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, session.run({{x, floats({1})}}, {wait, bad})), "as it should");
  CHECK_EQ(waiting.load(), 0);
}

// A queue of vectors, and a step that takes one element out and puts another in: the names order the nodes.
struct QueueBench : Bench {
  Output queue = of("FIFOQueueV2", "queue", {},
                    {{"component_types", std::vector<DType>{DType::float32}},
                     {"shapes", std::vector<Shape>{{256}}},
                     {"capacity", std::int64_t(4)}});
  Output x = placeholder("x", {256});
  Output taken =
      of("QueueDequeueV2", "taken", {queue}, {{"component_types", std::vector<DType>{DType::float32}}});

  Output chain(std::string name, Output from, int length) {
    for (int i = 0; i < length; ++i) from = of("TestCount", name + std::to_string(i), {from});
    return from;
  }
};

TEST(session, memory_makes_nobody_wait_for_what_waits) {
  for (const int lanes : {1, 2, 4}) {
    QueueBench bench;
    // What is put in is computed where it could lie in the memory of what was taken out.
    const Output y = bench.chain("y", bench.taken, 5);
    Node& put = bench.add("QueueEnqueueV2", "put", {bench.queue, bench.chain("z", bench.x, 5)});
    SessionOptions options = verified();
    options.plan.compile.inter_op_threads = lanes;
    Session session(bench.graph, options);
    RunOptions limited;
    limited.timeout_ms = 20'000;
    Tensor fed(DType::float32, {256});
    for (int i = 0; i < 3; ++i) {
      std::fill_n(fed.data<float>(), 256, float(i));
      const auto results = session.run({{bench.x, fed}}, {y}, {&put}, limited);
      CHECK_EQ(values_of(results[0]), std::vector<float>(256, float(i)));
    }
  }
}

TEST(session, a_cut_makes_nobody_wait_for_what_waits) {
  for (const int lanes : {1, 2, 4}) {
    QueueBench bench;
    // What is put in is known once n is; what is taken out comes before that cut, and is read after it.
    const Output n = bench.placeholder("n", {}, DType::int32);
    const Output head = bench.of("TestHead", "head", {bench.x, bench.of("TestCount", "m", {n})});
    const Output row = bench.of("Sum", "row", {head, bench.constant("axis", Tensor::vector<int>({0}))},
                                {{"keep_dims", true}});
    Node& put =
        bench.add("QueueEnqueueV2", "put", {bench.queue, bench.of("AddV2", "element", {bench.x, row})});
    const Output y = bench.chain("y", bench.taken, 5);
    const Output tail = bench.of("TestHead", "tail", {y, bench.of("TestCount", "k", {n})});
    SessionOptions options = verified();
    options.plan.compile.inter_op_threads = lanes;
    Session session(bench.graph, options);
    RunOptions limited;
    limited.timeout_ms = 20'000;
    Tensor fed(DType::float32, {256});
    std::fill_n(fed.data<float>(), 256, 1.0f);
    for (int i = 1; i < 4; ++i) {
      const auto results =
          session.run({{bench.x, fed}, {n, Tensor::scalar(i)}}, {tail, bench.taken}, {&put}, limited);
      CHECK_EQ(results[0].size(), std::int64_t(i));
      CHECK_EQ(values_of(results[1]), std::vector<float>(256, 1.0f + float(i)));
    }
  }
}

TEST(session, memory_is_reused_by_who_waits_anyway) {
  QueueBench bench;
  const Output y = bench.chain("y", bench.taken, 50);
  Session session(bench.graph, verified());
  const std::string plan = session.callable({}, {y}, {})->describe({});
  // Two places take turns: the last of 50 is a result.
  CHECK_CONTAINS(plan, "arena of 2048 bytes");
}

TEST(session, traces) {
  Bench bench;
  const Output x = bench.placeholder("x", {2}), y = bench.of("TestCount", "y", {x});
  Session session(bench.graph, verified());
  Trace trace(true);
  RunOptions options;
  options.trace = &trace;
  session.run({{x, floats({1, 2})}}, {y}, {}, options);
  const auto events = trace.take();
  CHECK_EQ(events.size(), 1u);
  CHECK_EQ(events[0].node, "y");
  CHECK(events[0].end_ns >= events[0].start_ns);
  CHECK_EQ(events[0].outputs.size(), 1u);
  CHECK_EQ(events[0].outputs[0].shape, (Shape{2}));
  CHECK_EQ(events[0].outputs[0].bytes, 8);
  const auto pieces = trace.take_pieces();
  CHECK_EQ(pieces.size(), 1u);
  CHECK_EQ(pieces[0].nodes.size(), 2u);
  CHECK_EQ(pieces[0].nodes[1].name, "y");
  CHECK_EQ(pieces[0].nodes[1].inputs[0].first, "x");
}

// ---- many threads

TEST(stress, many_threads_share_a_session_and_its_variables) {
  Bench bench;
  const Output handle = bench.of("VarHandleOp", "v", {}, {{"dtype", DType::float32}, {"shape", Shape{64}}});
  const Output x = bench.placeholder("x", {kUnknown});
  const Output y = bench.of("Mul", "y", {bench.of("Neg", "n", {x}), bench.of("TestCount", "c", {x})});
  const Output ones = bench.of("Fill", "ones",
                               {bench.constant("size", Tensor::vector<std::int32_t>({64})),
                                bench.constant("1", Tensor::scalar(1.0f))});
  Node& init = bench.add("AssignVariableOp", "init", {handle, bench.of("ZerosLike", "zeros", {ones})});
  Node& step = bench.add("AssignAddVariableOp", "step", {handle, ones});
  const Output read = bench.of("ReadVariableOp", "read", {handle}, {{"dtype", DType::float32}});
  SessionOptions options = verified();
  options.plan.cache_size = 3;
  Session session(bench.graph, options);
  session.run({}, {}, {&init});

  constexpr int kThreads = 8, kSteps = 50;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kSteps; ++i) {
        const std::int64_t size = 1 + (t + i) % 5;
        Tensor fed(DType::float32, {size});
        std::fill_n(fed.data<float>(), size, float(i));
        const auto results = session.run({{x, fed}}, {y, read}, {&step});
        for (float value : values_of(results[0])) wrong += value != -float(i) * float(i);
        // A read is a snapshot: no update shows in half of it.
        const auto snapshot = values_of(results[1]);
        for (float value : snapshot) wrong += value != snapshot[0];
      }
    });
  }
  // Meanwhile the graph grows.
  for (int i = 0; i < 100; ++i) bench.of("Neg", "later" + std::to_string(i), {x});
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
  CHECK_EQ(values_of(session.run({}, {read})[0]), std::vector<float>(64, kThreads * kSteps));
}

TEST(stress, sessions_come_and_go) {
  Bench bench;
  const Output x = bench.placeholder("x", {2}), wait = bench.of("TestWait", "wait", {x}),
               y = bench.of("Neg", "y", {x});
  for (int i = 0; i < 20; ++i) {
    Session session(bench.graph, verified());
    std::thread waiter([&] {
      try {
        session.run({{x, floats({1, 2})}}, {wait});
      } catch (const Error&) {
      }
    });
    session.run({{x, floats({1, 2})}}, {y});
    wait_for_waiting(1);
    session.close();
    waiter.join();
  }
  CHECK_EQ(waiting.load(), 0);
}

}  // namespace
}  // namespace headrace
