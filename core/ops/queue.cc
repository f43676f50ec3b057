// Definitions of queues: tuples of tensors that one step puts in and another takes out.
#include "core/registry/ops.h"

namespace headrace {
namespace {

// What the maker of a queue declares of its tuples; nothing where the handle comes from elsewhere.
struct QueueType {
  std::vector<DType> dtypes;
  std::vector<Shape> shapes;  // empty if not declared
};

QueueType queue_type(Output handle) {
  while (handle.node->has(Trait::identity) && handle.node->inputs().size() == 1)
    handle = handle.node->input(0);
  const Node& maker = *handle.node;
  QueueType type;
  if (!maker.has_attr("shared_name")) return type;
  type.dtypes = maker.attr_or("component_types", std::vector<DType>());
  type.shapes = maker.attr_or("shapes", std::vector<Shape>());
  if (maker.op().name() == "PriorityQueueV2") {
    type.dtypes.insert(type.dtypes.begin(), DType::int64);
    type.shapes.insert(type.shapes.begin(), Shape());
  }
  return type;
}

void check_dtypes(const QueueType& type, const std::vector<DType>& dtypes) {
  if (type.dtypes.empty()) return;
  require(dtypes.size() == type.dtypes.size(), "the queue has ", type.dtypes.size(), " components, not ",
          dtypes.size());
  for (std::size_t i = 0; i < dtypes.size(); ++i) {
    if (dtypes[i] == type.dtypes[i]) continue;
    throw DTypeError(str("component ", i, " of the queue is ", name_of(type.dtypes[i]), ", not ",
                         name_of(dtypes[i]), "; cast it"));
  }
}

// Component i's static shape; unknown where none is declared.
Shape component_shape(const QueueType& type, std::size_t i) {
  return i < type.shapes.size() ? type.shapes[i] : Shape::unknown();
}

void handle_shape(ShapeContext& c) { c.output(0, Shape()); }

void enqueue_shape(ShapeContext& c) {
  const QueueType type = queue_type(c.node().input(0));
  check_dtypes(type, c.attr<std::vector<DType>>("Tcomponents"));
  for (int i = 1; i < c.num_inputs(); ++i) {
    const Shape declared = component_shape(type, std::size_t(i - 1));
    require(declared.compatible_with(c.input(i)), "component ", i - 1, " has shape ", c.input(i),
            ", the queue holds ", declared);
  }
}

void enqueue_many_shape(ShapeContext& c) {
  const QueueType type = queue_type(c.node().input(0));
  check_dtypes(type, c.attr<std::vector<DType>>("Tcomponents"));
  Shape count{kUnknown};
  for (int i = 1; i < c.num_inputs(); ++i) {
    const Shape declared = component_shape(type, std::size_t(i - 1));
    const Shape many = c.with_rank_at_least(i, 1);
    if (!many.has_rank()) continue;
    require(declared.compatible_with(many.slice(1)), "component ", i - 1, " has shape ", many,
            ", so elements of shape ", many.slice(1), "; the queue holds ", declared);
    require(count.compatible_with(many.slice(0, 1)), "component ", i - 1, " has ", many.dim(0),
            " elements, others have ", count.dim(0), "; all need the same number");
    count = count.merge(many.slice(0, 1));
  }
}

void dequeue_shape(ShapeContext& c) {
  const QueueType type = queue_type(c.node().input(0));
  check_dtypes(type, c.attr<std::vector<DType>>("component_types"));
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, component_shape(type, std::size_t(i)));
}

// `count` leading elements of each component.
void many_shape(ShapeContext& c, std::int64_t count) {
  const QueueType type = queue_type(c.node().input(0));
  check_dtypes(type, c.attr<std::vector<DType>>("component_types"));
  for (int i = 0; i < c.num_outputs(); ++i) {
    const Shape element = component_shape(type, std::size_t(i));
    c.output(i, element.has_rank() ? Shape{count}.concat(element) : Shape::unknown());
  }
}

void dequeue_many_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const auto count = c.int_value(1);
  require(!count || *count >= 0, "n is ", count.value_or(0), "; it must not be negative");
  many_shape(c, count.value_or(kUnknown));
}

void dequeue_up_to_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  many_shape(c, kUnknown);
}

OpDef& queue(const char* name) {
  return op(name).out("handle: resource").traits(Trait::stateful, Trait::no_gradient).shape(handle_shape);
}

OpDef& made(OpDef& definition) {
  return definition.attr("container: string = ''", "shared_name: string = ''");
}

OpDef& access(const char* name, ShapeRule rule) {
  return op(name).in("handle: resource").traits(Trait::stateful, Trait::no_gradient).shape(std::move(rule));
}

OpDef& waiting(const char* name, ShapeRule rule) {
  return access(name, std::move(rule)).traits(Trait::blocking);
}

constexpr const char* kTypes = "component_types: list(type) >= 1";
constexpr const char* kShapes = "shapes: list(shape) >= 0 = []";
constexpr const char* kCapacity = "capacity: int = -1";
constexpr const char* kTimeout = "timeout_ms: int = -1";

}  // namespace

HEADRACE_OPS(queue) {
  made(queue("FIFOQueueV2").attr(kTypes, kShapes, kCapacity))
      .doc("A queue that gives elements in the order in which they came.");
  made(queue("PaddingFIFOQueueV2").attr(kTypes, kShapes, kCapacity))
      .doc(
          "A queue in order of arrival whose elements may differ in unknown dimensions; many taken at once "
          "are padded with zeros to the size of the largest.");
  made(queue("RandomShuffleQueueV2")
           .attr(kTypes, kShapes, kCapacity, "min_after_dequeue: int = 0", "seed: int = 0", "seed2: int = 0"))
      .doc("A queue that gives elements in random order, and keeps a minimum of them to choose from.");
  made(queue("PriorityQueueV2")
           .attr("component_types: list(type) >= 0 = []", "shapes: list(shape) >= 0", kCapacity))
      .doc(
          "A queue that gives the element with the smallest first component, an int64, first; equal ones in "
          "order of arrival.");
  waiting("QueueEnqueueV2", enqueue_shape)
      .in("components: Tcomponents")
      .attr("Tcomponents: list(type) >= 1", kTimeout)
      .doc("Puts one element into a queue, waiting for room.");
  waiting("QueueEnqueueManyV2", enqueue_many_shape)
      .in("components: Tcomponents")
      .attr("Tcomponents: list(type) >= 1", kTimeout)
      .doc("Puts the rows of its components into a queue, waiting for room.");
  waiting("QueueDequeueV2", dequeue_shape)
      .out("components: component_types")
      .attr(kTypes, kTimeout)
      .doc("Takes one element out of a queue, waiting for it.");
  waiting("QueueDequeueManyV2", dequeue_many_shape)
      .in("n: int32")
      .out("components: component_types")
      .attr(kTypes, kTimeout)
      .doc("Takes n elements out of a queue at once, packed, waiting for them.");
  waiting("QueueDequeueUpToV2", dequeue_up_to_shape)
      .in("n: int32")
      .out("components: component_types")
      .attr(kTypes, kTimeout)
      .doc("Takes n elements out of a queue, packed; what is left if the queue is closed and has fewer.");
  waiting("QueueCloseV2", no_outputs)
      .attr("cancel_pending_enqueues: bool = false")
      .doc(
          "Closes a queue: nothing goes in any more, and what is in it can still be taken. It waits for "
          "those that are putting elements in, or cancels them.");
  access("QueueIsClosedV2", scalar_shape).out("is_closed: bool").doc("Whether a queue is closed.");
  access("QueueSizeV2", scalar_shape).out("size: int32").doc("How many elements are in a queue.");
}

}  // namespace headrace
