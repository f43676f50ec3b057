#include "core/io/graphdef.h"

#include <limits>
#include <random>

#include "core/io/messages.h"
#include "core/registry/ops.h"
#include "tests/cc/check.h"
#include "tests/cc/node_message.h"

namespace headrace {
namespace {

Node& placeholder(Graph& graph, std::string name, Shape shape = Shape::unknown()) {
  return graph.add(
      find_op("Placeholder"),
      {.name = std::move(name), .inputs = {}, .attrs = {{"dtype", DType::float32}, {"shape", shape}}});
}
Node& identity(Graph& graph, std::string name, Output input, std::vector<Node*> after = {}) {
  return graph.add(find_op("Identity"),
                   {.name = std::move(name), .inputs = {input}, .control_inputs = std::move(after)});
}

// x -> y, with z waiting for y.
void small(Graph& graph) {
  Node& x = placeholder(graph, "x", Shape{kUnknown, 3});
  Node& y = identity(graph, "scope/y", x.output(0));
  y.set_device("/device:CPU:0");
  y.set_attr("_class", std::vector<std::string>{"loc:@x"});
  identity(graph, "z", x.output(0), {&y});
}

// A node message as another program may write it.
std::string node_message(std::string_view name, std::string_view op, std::vector<std::string> inputs = {},
                         const AttrMap& attrs = {}) {
  wire::Writer out;
  write_node(out, name, op, inputs, attrs);
  return out.take();
}

TEST(messages, shapes_go_both_ways) {
  for (const Shape& shape :
       {Shape(), Shape{2, 3}, Shape{kUnknown, 0}, Shape::unknown(), Shape::unknown_of_rank(3)}) {
    wire::Writer out;
    write_shape(out, shape);
    CHECK_EQ(read_shape(wire::Reader(out.str())), shape);
  }
}

TEST(messages, tensors_of_every_dtype_go_both_ways) {
  for (DType dtype : all_dtypes()) {
    for (const Shape& shape : {Shape(), Shape{3}, Shape{2, 0}, Shape{2, 2}, Shape{1, 1}}) {
      Tensor tensor(dtype, shape);
      if (dtype == DType::string) {
        for (std::string& text : tensor.flat<std::string>()) text = std::string("a\0\xff", 3);
      } else if (is_plain(dtype)) {
        auto* bytes = static_cast<unsigned char*>(tensor.raw());
        for (std::size_t i = 0; i < tensor.bytes(); ++i) {
          bytes[i] = static_cast<unsigned char>(dtype == DType::boolean ? i % 2 : 0x81 + 7 * i);
        }
      } else {
        CHECK_ERROR(unimplemented, to_tensor_proto(tensor));
        continue;
      }
      CHECK(identical(from_tensor_proto(to_tensor_proto(tensor)), tensor));
    }
  }
}

TEST(messages, the_last_element_is_repeated) {
  wire::Writer out;
  out.varint(1, 3);
  out.message(2, [](wire::Writer& shape) { write_shape(shape, Shape{5}); });
  out.packed_varints(7, std::vector<std::int64_t>{1, -2});
  const std::vector<std::int32_t> values = {1, -2, -2, -2, -2};
  CHECK(identical(from_tensor_proto(out.str()), Tensor::vector<std::int32_t>(values)));
}

TEST(messages, repetition_is_bounded) {
  wire::Writer out;
  out.varint(1, 2);
  out.message(2, [](wire::Writer& shape) { write_shape(shape, Shape{1 << 20, 1 << 20}); });
  out.real64_element(6, 1);
  CHECK_ERROR(resource_exhausted, from_tensor_proto(out.str()));
}

TEST(messages, tensors_that_contradict_themselves) {
  const auto tensor = [](auto&& body) {
    wire::Writer out;
    body(out);
    return out.take();
  };
  const auto shape = [](wire::Writer& out, Shape shape) {
    out.message(2, [&](wire::Writer& to) { write_shape(to, shape); });
  };
  for (const std::string& bytes : {
           tensor([&](auto& out) { shape(out, {2}); }),                                 // no type
           tensor([&](auto& out) { out.varint(1, 1), shape(out, Shape::unknown()); }),  // no shape
           tensor(
               [&](auto& out) { out.varint(1, 1), shape(out, {2}), out.bytes(4, "1234567"); }),  // odd bytes
           tensor([&](auto& out) {
             out.varint(1, 7), shape(out, {2}), out.bytes(4, "12");
           }),  // content of strings
           tensor([&](auto& out) {
             out.varint(1, 3), shape(out, {1}), out.packed_varints(7, std::vector{1, 2});
           }),
           tensor([&](auto& out) {
             out.varint(1, 8), shape(out, {1}), out.real32_element(9, 1);
           }),  // half a complex
           tensor([&](auto& out) {
             out.varint(1, 1), shape(out, {1LL << 40, 1LL << 40});
           }),  // overflow
       }) {
    CHECK_ERROR(invalid_argument, from_tensor_proto(bytes));
  }
}

TEST(messages, attributes_of_every_kind_go_both_ways) {
  const Tensor tensor = Tensor::vector<float>({1, 2});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Attr& attr : std::vector<Attr>{std::string("a\0b", 3),
                                            std::int64_t(-5),
                                            std::int64_t(0),
                                            1.5f,
                                            nan,
                                            true,
                                            false,
                                            DType::bfloat16,
                                            Shape{2, kUnknown},
                                            tensor,
                                            FunctionName{"f"},
                                            std::vector<std::string>{"a", ""},
                                            std::vector<std::int64_t>{1, -1, 0},
                                            std::vector<float>{0.5f, -0.0f},
                                            std::vector<bool>{true, false, true},
                                            std::vector<DType>{DType::int8, DType::string},
                                            std::vector<Shape>{Shape(), Shape::unknown()},
                                            std::vector<Tensor>{tensor, tensor},
                                            std::vector<FunctionName>{{"f"}, {"g"}},
                                            std::vector<bool>(),
                                            std::vector<Shape>()}) {
    const std::string bytes = to_attr_value(attr);
    CHECK(equal(from_attr_value(bytes, attr_type(attr)), attr));
    if (std::visit([](const auto& v) { return sizeof v > 0; }, attr) && bytes.size() > 2) {
      CHECK(equal(from_attr_value(bytes), attr));  // the message tells the type
    }
  }
  CHECK_ERROR(invalid_argument, from_attr_value(to_attr_value(true), "int"));
  CHECK_ERROR(invalid_argument, from_attr_value(to_attr_value(std::vector<bool>{true}), "list(int)"));
  CHECK_ERROR(invalid_argument, from_attr_value("", "int"));
}

TEST(messages, reference_types_count_as_their_targets) {
  CHECK_EQ(int(read_dtype(101)), int(DType::float32));
  CHECK_ERROR(unimplemented, read_dtype(100));
  CHECK_ERROR(unimplemented, read_dtype(11));
  CHECK_ERROR(unimplemented, read_dtype(1u << 31));
}

TEST(graphdef, goes_both_ways) {
  Graph first, second;
  small(first);
  const std::string bytes = to_graphdef(first);
  const Imported imported = import_graphdef(second, bytes);
  CHECK_EQ(to_graphdef(second), bytes);
  CHECK_EQ(imported.nodes.size(), 3u);
  CHECK_EQ(second.find("scope/y")->shape(0), (Shape{kUnknown, 3}));
  CHECK_EQ(second.find("scope/y")->device(), "/device:CPU:0");
  CHECK_EQ(second.find("z")->control_inputs()[0], second.find("scope/y"));
}

TEST(graphdef, any_order_of_nodes) {
  const std::string bytes =
      node_message("c", "Identity", {"b"}) + node_message("b", "Identity", {"a:0", "^d"}) +
      node_message("d", "NoOp") +
      node_message("a", "Placeholder", {}, {{"dtype", DType::int32}, {"shape", Shape{2}}});
  Graph graph;
  import_graphdef(graph, bytes);
  CHECK_EQ(graph.find("c")->shape(0), Shape{2});
  CHECK_EQ(int(graph.find("c")->dtype(0)), int(DType::int32));
}

TEST(graphdef, cycles_are_named) {
  const std::string bytes = node_message("a", "Identity", {"b"}) + node_message("b", "Identity", {"c"}) +
                            node_message("c", "Identity", {"b"});
  Graph graph;
  const std::string message = CHECK_ERROR(invalid_argument, import_graphdef(graph, bytes));
  CHECK_CONTAINS(message, "cycle of 2");
  CHECK_CONTAINS(message, "'b'");
  CHECK_CONTAINS(message, "'c'");
}

TEST(graphdef, prefix_names_and_colocation) {
  Graph graph;
  small(graph);
  const std::string bytes = to_graphdef(graph);
  import_graphdef(graph, bytes, {.prefix = "import"});
  import_graphdef(graph, bytes);
  CHECK(graph.find("import/scope/y"));
  CHECK(graph.find("scope/y_1"));
  CHECK_EQ(graph.find("import/scope/y")->attr<std::vector<std::string>>("_class")[0], "loc:@import/x");
  CHECK_EQ(graph.find("scope/y_1")->attr<std::vector<std::string>>("_class")[0], "loc:@x_1");
}

TEST(graphdef, input_map_and_return_elements) {
  Graph source, graph;
  small(source);
  Node& fed = placeholder(graph, "fed", Shape{5, 3});
  Node& before = graph.add(find_op("NoOp"), {.name = "before", .inputs = {}});
  const Imported imported = import_graphdef(graph, to_graphdef(source),
                                            {.prefix = "p",
                                             .input_map = {{"x", fed.output(0)}, {"^scope/y", &before}},
                                             .return_elements = {"z:0", "scope/y", "x:0"},
                                             .source = "here.py:1"});
  CHECK(std::get<Output>(imported.returned[0]) == graph.find("p/z")->output(0));
  CHECK(std::get<Node*>(imported.returned[1]) == graph.find("p/scope/y"));
  CHECK(std::get<Output>(imported.returned[2]) == fed.output(0));
  CHECK_EQ(graph.find("p/z")->shape(0), (Shape{5, 3}));
  CHECK_EQ(graph.find("p/z")->control_inputs()[0], &before);
  CHECK_EQ(graph.find("p/z")->source(), "here.py:1");
  CHECK_ERROR(invalid_argument, import_graphdef(graph, to_graphdef(source), {.return_elements = {"nope"}}));
  CHECK_ERROR(invalid_argument,
              import_graphdef(graph, to_graphdef(source), {.input_map = {{"q:0", fed.output(0)}}}));
}

TEST(graphdef, all_or_nothing) {
  Graph source, graph;
  small(source);
  const std::string bytes = to_graphdef(source);
  CHECK_ERROR(invalid_argument, import_graphdef(graph, bytes, {.return_elements = {"z:7"}}));
  CHECK_EQ(graph.size(), 0);
  // The last node reads an output that is not there.
  CHECK_ERROR(invalid_argument, import_graphdef(graph, bytes + node_message("w", "Identity", {"z:1"})));
  CHECK_EQ(graph.size(), 0);
  import_graphdef(graph, bytes);
  CHECK_EQ(graph.size(), 3);
  CHECK_EQ(graph.nodes().size(), 3u);
}

TEST(graphdef, everything_unknown_is_listed) {
  const std::string bytes =
      node_message("a", "Foo") + node_message("b", "Identitty", {"a"}) + node_message("c", "Foo");
  Graph graph;
  const std::string message = CHECK_ERROR(not_found, import_graphdef(graph, bytes));
  for (const char* part :
       {"2 operations", "Foo (nodes 'a', 'c')", "Identitty (node 'b')", "did you mean 'Identity'"}) {
    CHECK_CONTAINS(message, part);
  }
}

TEST(graphdef, unknown_attributes) {
  const auto message = [](Attr value) {
    return node_message("a", "NoOp", {}, {{"later", std::move(value)}, {"_private", std::int64_t(3)}});
  };
  Graph graph;
  import_graphdef(graph, message(false));
  CHECK(!graph.find("a")->has_attr("later"));
  CHECK_EQ(graph.find("a")->attr<std::int64_t>("_private"), 3);
  Graph other;
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, import_graphdef(other, message(true))), "'later'");
  // The producer says that true is the default.
  wire::Writer ops;
  ops.message(1, [&](wire::Writer& op) {
    op.bytes(1, "NoOp");
    op.message(4, [&](wire::Writer& attr) {
      attr.bytes(1, "later");
      attr.message(3, [&](wire::Writer& value) { write_attr(value, true); });
    });
  });
  import_graphdef(other, message(true), {.producer_ops = ops.str()});
  CHECK(!other.find("a")->has_attr("later"));
}

TEST(graphdef, shapes_of_the_message_are_merged) {
  Graph source, graph;
  Node& x = placeholder(source, "x");
  x.merge_shape(0, Shape{2, kUnknown});
  import_graphdef(graph, to_graphdef(source, {.with_shapes = true}));
  CHECK_EQ(graph.find("x")->shape(0), (Shape{2, kUnknown}));
  CHECK(!graph.find("x")->has_attr("_output_shapes"));
}

TEST(graphdef, shapes_of_handles_are_not_exchanged) {
  // Those of stacks were the two strings of a name once.
  Graph graph;
  import_graphdef(
      graph, node_message("s", "StackV2", {"limit"},
                          {{"elem_type", DType::float32}, {"_output_shapes", std::vector<Shape>{Shape{2}}}}) +
                 node_message("limit", "Placeholder", {}, {{"dtype", DType::int32}}));
  CHECK_EQ(graph.find("s")->shape(0), Shape{});
  Graph again;
  import_graphdef(again, to_graphdef(graph, {.with_shapes = true}));
  // One shape, of unknown rank.
  CHECK_CONTAINS(to_graphdef(graph, {.with_shapes = true}), "\x12\x06\n\x04:\x02\x18\x01");
}

TEST(graphdef, functions_go_both_ways) {
  Graph graph;
  auto function = std::make_shared<Function>();
  function->name = "double_it";
  Node& x = function->graph.add(
      find_op("_Arg"),
      {.name = "x", .inputs = {}, .attrs = {{"T", DType::float32}, {"index", std::int64_t(0)}}});
  x.merge_shape(0, Shape{2});
  Node& y = identity(function->graph, "y", x.output(0));
  Node& wait = function->graph.add(find_op("NoOp"), {.name = "wait", .inputs = {}, .control_inputs = {&y}});
  function->arguments = {&x};
  function->results = {y.output(0), x.output(0)};
  function->result_names = {"first", "second"};
  function->targets = {&wait};
  function->attrs = {{"_note", std::string("hello")}};
  graph.add_function(function);

  Graph other;
  const std::string bytes = to_graphdef(graph);
  import_graphdef(other, bytes);
  const auto copy = other.find_function("double_it");
  CHECK(copy != nullptr);
  verify(*copy, "import");
  CHECK_EQ(copy->arguments[0]->shape(0), Shape{2});
  CHECK_EQ(copy->results.size(), 2u);
  CHECK_EQ(copy->targets.size(), 1u);
  CHECK_EQ(to_graphdef(other), bytes);
  import_graphdef(other, bytes);  // the same again is no error
  import_function(other, to_function_def(*function));
}

TEST(graphdef, damaged_messages_never_crash) {
  Graph source;
  small(source);
  const std::string bytes = to_graphdef(source, {.with_shapes = true});
  const auto attempt = [](const std::string& damaged) {
    Graph graph;
    try {
      import_graphdef(graph, damaged);
    } catch (const Error&) {
      CHECK_EQ(graph.size(), 0);
    }
  };
  for (std::size_t size = 0; size < bytes.size(); ++size) attempt(bytes.substr(0, size));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = char(damaged[bit / 8] ^ (1 << bit % 8));
    attempt(damaged);
  }
  std::mt19937 random(2);
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = bytes;
    for (int i = 0; i < 4; ++i) damaged[random() % damaged.size()] = char(random());
    attempt(damaged);
  }
}

TEST(graphdef, versions) {
  const auto versions = [](std::int64_t producer, std::int64_t least) {
    wire::Writer out;
    out.message(4, [&](wire::Writer& to) {
      to.integer(1, producer);
      to.integer(2, least);
    });
    return out.take();
  };
  Graph graph;
  import_graphdef(graph, versions(20, 0));
  import_graphdef(graph, versions(2000, 12));
  CHECK_ERROR(invalid_argument, import_graphdef(graph, versions(2000, 1000)));
}

}  // namespace
}  // namespace headrace
