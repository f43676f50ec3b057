// Many threads, overlapping subgraphs, one state: for ThreadSanitizer above all (make test-sanitize). Every
// thread runs the steps that its number and the round choose; queues and the like are left as they were
// found.
#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <thread>

#include "core/registry/kernel.h"
#include "core/session/session.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

constexpr int kThreads = 8, kRounds = 40;
constexpr std::int64_t kWidth = 40'000;  // elements of a variable: enough for loops to use several threads

using Types = std::vector<DType>;

// What one step runs and fetches.
struct Work {
  std::vector<Output> fetches;
  std::vector<Node*> targets = {};
  bool may_wait = false;  // for what others took
};

class Shared {
 public:
  Shared() {
    variables();
    queues();
    tables();
    staging();
    barriers();
    accumulators();
    stacks();
  }

  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  Output x = add("Placeholder", "x", {}, {{"dtype", DType::float32}, {"shape", Shape{kUnknown}}}).output(0);
  std::vector<Node*> initial;
  std::vector<Work> works;    // each can be run at any time, by anybody
  std::vector<Output> whole;  // variables that are only ever written whole, with one value
  Output total;               // counts updates
  Node* update = nullptr;
  Output never;  // a dequeue that nothing is ever put in for

  Node& add(std::string op, std::string name, std::vector<Output> inputs, AttrMap attrs = {},
            std::vector<Node*> after = {}) {
    return graph->add(find_op(op), {.name = std::move(name),
                                    .inputs = std::move(inputs),
                                    .attrs = std::move(attrs),
                                    .control_inputs = std::move(after),
                                    .device = {},
                                    .source = "stress.cc"});
  }

 private:
  Output constant(std::string name, Tensor value) {
    return add_constant(*graph, std::move(name), std::move(value)).output(0);
  }
  template <class T>
  Output scalar(std::string name, T value) {
    return constant(std::move(name), Tensor::scalar(value));
  }

  void variables() {
    const Output size = constant("size", Tensor::vector<std::int64_t>({kWidth}));
    const Output ones = add("Fill", "ones", {size, scalar("1", 1.0f)}, {}).output(0);
    for (const std::string name : {"v", "w"}) {
      const Output handle =
          add("VarHandleOp", name, {}, {{"dtype", DType::float32}, {"shape", Shape{kWidth}}}).output(0);
      initial.push_back(&add("AssignVariableOp", name + "_init", {handle, ones}));
      Node& bump = add("AssignAddVariableOp", name + "_bump", {handle, ones});
      const Output read =
          add("ReadVariableOp", name + "_read", {handle}, {{"dtype", DType::float32}}).output(0);
      const Output doubled = add("AddV2", name + "_doubled", {read, read}).output(0);
      Node& assign = add("AssignVariableOp", name + "_assign", {handle, doubled});
      const Output after =
          add("ReadVariableOp", name + "_after", {handle}, {{"dtype", DType::float32}}, {&bump}).output(0);
      whole.push_back(read);
      works.push_back({{read, after}, {}});
      works.push_back({{}, {&bump}});
      works.push_back({{read}, {&assign}});
    }
    const Output count =
        add("VarHandleOp", "count", {}, {{"dtype", DType::int64}, {"shape", Shape{}}}).output(0);
    initial.push_back(&add("AssignVariableOp", "count_init", {count, scalar<std::int64_t>("0", 0)}));
    update = &add("AssignAddVariableOp", "count_bump", {count, scalar<std::int64_t>("one", 1)});
    total = add("ReadVariableOp", "total", {count}, {{"dtype", DType::int64}}).output(0);
    works.push_back({{whole[0], whole[1], total}, {}});  // a checkpoint
  }

  // Each puts in and takes out in one step.
  void queues() {
    const Output priority = scalar<std::int64_t>("priority", 7);
    const AttrMap one{{"component_types", Types{DType::float32}}, {"capacity", std::int64_t(3)}};
    for (const std::string kind : {"FIFO", "RandomShuffle", "PaddingFIFO", "Priority"}) {
      AttrMap attrs = one;
      if (kind != "RandomShuffle")
        attrs["shapes"] = std::vector<Shape>{{kind == "PaddingFIFO" ? kUnknown : 8}};
      const Output queue = add(kind + "QueueV2", kind, {}, attrs).output(0);
      const Output eight =
          add("Fill", kind + "_eight",
              {constant(kind + "8", Tensor::vector<std::int64_t>({8})), scalar(kind + "_value", 3.0f)})
              .output(0);
      std::vector<Output> components{queue, eight};
      Types types{DType::float32};
      if (kind == "Priority") {
        components.insert(components.begin() + 1, priority);
        types.insert(types.begin(), DType::int64);
      }
      Node& put = add("QueueEnqueueV2", kind + "_put", components);
      Node& take = add("QueueDequeueV2", kind + "_take", {queue}, {{"component_types", types}});
      const Output size = add("QueueSizeV2", kind + "_size", {queue}).output(0);
      works.push_back({{take.output(int(types.size()) - 1), size}, {&put}});
    }
    const Output empty = add("FIFOQueueV2", "empty", {}, one).output(0);
    never = add("QueueDequeueV2", "never", {empty}, {{"component_types", Types{DType::float32}}}).output(0);
  }

  void tables() {
    const Output table =
        add("MutableHashTableV2", "table", {}, {{"key_dtype", DType::int64}, {"value_dtype", DType::float32}})
            .output(0);
    const Output keys = constant("keys", Tensor::vector<std::int64_t>({1, 2, 3, 4}));
    const Output values = constant("values", Tensor::vector<float>({1, 2, 3, 4}));
    Node& insert = add("LookupTableInsertV2", "insert", {table, keys, values});
    Node& remove = add("LookupTableRemoveV2", "remove", {table, keys});
    const Output found =
        add("LookupTableFindV2", "find", {table, keys, scalar("otherwise", -1.0f)}).output(0);
    const Output size = add("LookupTableSizeV2", "table_size", {table}).output(0);
    works.push_back({{size}, {&insert}});
    works.push_back({{found}, {}});
    works.push_back({{found}, {&remove}});
  }

  void staging() {
    const AttrMap area{{"shared_name", std::string("area")}, {"capacity", std::int64_t(2)}};
    AttrMap typed = area;
    typed["dtypes"] = Types{DType::float32};
    Node& put = add("Stage", "stage", {scalar("staged", 5.0f)}, area);
    works.push_back({{add("Unstage", "unstage", {}, typed).output(0)}, {&put}});
    typed["shared_name"] = std::string("map");
    const Output first = constant("first", Tensor::vector<std::int32_t>({0}));
    // Any key will do, as any will be taken; equal keys would be dropped, so each thread feeds its own in x.
    const Output key =
        add("Cast", "key",
            {add("Sum", "sum", {x, constant("axis", Tensor::vector<std::int32_t>({0}))}).output(0)},
            {{"DstT", DType::int64}})
            .output(0);
    Node& put_key = add("OrderedMapStage", "map_stage", {key, first, scalar("mapped", 6.0f)}, typed);
    works.push_back({{add("OrderedMapUnstage", "map_unstage", {key, first}, typed).output(0)}, {&put_key}});
  }

  void barriers() {
    const Output barrier =
        add("Barrier", "barrier", {}, {{"component_types", Types{DType::float32}}}).output(0);
    Node& insert = add("BarrierInsertMany", "barrier_insert",
                       {barrier, constant("barrier_key", Tensor::vector<std::string>({"k"})),
                        constant("barrier_value", Tensor::vector<float>({1}))},
                       {{"component_index", std::int64_t(0)}});
    Node& take = add("BarrierTakeMany", "barrier_take", {barrier, scalar<std::int32_t>("barrier_n", 1)},
                     {{"component_types", Types{DType::float32}}});
    works.push_back({{take.output(1), take.output(2)}, {&insert}});
  }

  void accumulators() {
    const Output sum = add("ConditionalAccumulator", "accumulator", {},
                           {{"dtype", DType::float32}, {"shape", Shape::unknown()}})
                           .output(0);
    const Output late = scalar<std::int64_t>("step", std::numeric_limits<std::int64_t>::max());
    Node& apply = add("AccumulatorApplyGradient", "apply", {sum, late, whole[0]});
    const Output count = add("AccumulatorNumAccumulated", "accumulated", {sum}).output(0);
    works.push_back({{count}, {&apply}});
    const Output taken = add("AccumulatorTakeGradient", "take", {sum, scalar<std::int32_t>("need", 1)},
                             {{"dtype", DType::float32}})
                             .output(0);
    // Whoever takes gets what others added, too.
    works.push_back({{taken}, {&apply}, true});
  }

  // A list in a step of its own, pushed to and popped from by two names of it.
  void stacks() {
    const Output shape = constant("element_shape", Tensor::vector<std::int32_t>({8}));
    const Output empty = add("EmptyTensorList", "list", {shape, scalar<std::int32_t>("max", -1)},
                             {{"element_dtype", DType::float32}})
                             .output(0);
    const Output element = constant("element", Tensor::vector<float>({1, 2, 3, 4, 5, 6, 7, 8}));
    Output list = empty;
    for (int i = 0; i < 4; ++i)
      list = add("TensorListPushBack", "push" + std::to_string(i), {list, element}).output(0);
    Node& pop = add("TensorListPopBack", "pop", {list, shape}, {{"element_dtype", DType::float32}});
    works.push_back({{pop.output(1)}, {}});
  }
};

SessionOptions on_lanes(int lanes, std::string target = {}) {
  SessionOptions options;
  options.plan.compile.inter_op_threads = lanes;
  options.target = std::move(target);
  options.intra_op_threads = 2;
  return options;
}

Tensor fed_by(int thread, int round) {
  Tensor x(DType::float32, {std::int64_t(1 + round % 3)});
  std::fill_n(x.data<float>(), x.size(), 0.0f);
  x.data<float>()[0] = float(thread);
  return x;
}

// The last element differs from the first if the tensor is torn.
bool torn(const Tensor& value) {
  const auto flat = value.flat<float>();
  return std::any_of(flat.begin(), flat.end(), [&](float one) { return one != flat[0]; });
}

std::vector<Tensor> run(Session& session, const Shared& shared, const Work& work, Tensor x, bool count) {
  RunOptions options;
  options.timeout_ms = work.may_wait ? 20 : 300'000;
  std::vector<Node*> targets = work.targets;
  if (count) targets.push_back(shared.update);
  try {
    return session.run({{shared.x, std::move(x)}}, work.fetches, targets, options);
  } catch (const Error& error) {
    if (!work.may_wait || error.code() != Code::deadline_exceeded) throw;
    return {};
  }
}

template <class F>
void in_threads(int count, F&& work) {
  std::mutex mutex;
  std::exception_ptr failure;
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      try {
        work(t);
      } catch (...) {
        std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

TEST(stress, overlapping_steps_share_all_kinds_of_state) {
  Shared shared;
  Session session(shared.graph, on_lanes(2));
  session.run({}, {}, shared.initial);
  std::atomic<int> tears{0};
  std::atomic<std::int64_t> updates{0};
  in_threads(kThreads, [&](int t) {
    for (int round = 0; round < kRounds; ++round) {
      const auto& work = shared.works[std::size_t(t * 5 + round) % shared.works.size()];
      run(session, shared, work, fed_by(t, round), !work.may_wait);
      updates += !work.may_wait;
      const auto read = session.run({}, {shared.whole[0], shared.whole[1]});
      for (const Tensor& value : read) tears += torn(value);
    }
  });
  CHECK_EQ(tears.load(), 0);
  CHECK_EQ(*session.run({}, {shared.total})[0].data<std::int64_t>(), updates.load());
}

TEST(stress, sessions_of_one_target_open_and_close) {
  Shared shared;
  Session first(shared.graph, on_lanes(1, "stress"));
  first.run({}, {}, shared.initial);
  in_threads(kThreads, [&](int t) {
    for (int round = 0; round < kRounds / 4; ++round) {
      Session session(shared.graph, on_lanes(1 + t % 3, "stress"));
      for (std::size_t i = 0; i < 3; ++i) {
        const auto& work = shared.works[(std::size_t(t) + i * 7 + std::size_t(round)) % shared.works.size()];
        run(session, shared, work, fed_by(t, round), false);
      }
      session.run({}, {}, {shared.update});
    }
  });
  CHECK_EQ(*first.run({}, {shared.total})[0].data<std::int64_t>(), kThreads * (kRounds / 4));
  Session::reset("stress", {});
}

TEST(stress, deadlines_and_closing_end_what_waits) {
  Shared shared;
  for (int round = 0; round < 5; ++round) {
    Session session(shared.graph, on_lanes(2));
    session.run({}, {}, shared.initial);
    std::atomic<int> late{0}, closed{0}, ready{0};
    std::thread closing([&] {
      while (ready.load() < kThreads) std::this_thread::yield();
      session.close();
    });
    in_threads(kThreads, [&](int t) {
      RunOptions options;
      for (int i = 0; i < 3; ++i) {
        options.timeout_ms = 1 + t % 3;
        late += testing::contains(
            CHECK_ERROR(deadline_exceeded, session.run({}, {shared.never}, {}, options)), "ran past");
        const auto& work = shared.works[std::size_t(t + i) % shared.works.size()];
        run(session, shared, work, fed_by(t, i), false);
      }
      ++ready;
      try {
        while (true) session.run({}, {shared.never, shared.whole[0]}, {shared.update});
      } catch (const Error& error) {
        closed += error.code() == Code::cancelled || error.code() == Code::failed_precondition;
      }
    });
    closing.join();
    CHECK_EQ(late.load(), 3 * kThreads);
    CHECK_EQ(closed.load(), kThreads);
  }
}

}  // namespace
}  // namespace headrace
