#include "core/c_api/headrace.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/graphdef.h"
#include "core/io/messages.h"
#include "core/io/wire.h"
#include "core/registry/ops.h"
#include "core/session/session.h"

// What the handles of the interface are. Nodes are the core's own, under another name.
struct hr_status {
  int code;
  std::string message, node;
};
struct hr_bytes {
  std::string bytes;
};
struct hr_tensor {
  headrace::Tensor tensor;
};
struct hr_graph {
  std::shared_ptr<headrace::Graph> graph = std::make_shared<headrace::Graph>();
};
struct hr_node_builder {
  headrace::Graph& graph;
  std::string op;
  headrace::NodeSpec spec;
  std::optional<headrace::Error> error;  // the first
};
struct hr_session {
  std::unique_ptr<headrace::Session> session;
};
struct hr_cancellation {
  std::atomic<bool> cancelled{false};
};

namespace headrace {
namespace {

Node& node_of(hr_node* node) { return *reinterpret_cast<Node*>(node); }
const Node& node_of(const hr_node* node) { return *reinterpret_cast<const Node*>(node); }
hr_node* handle_of(Node* node) { return reinterpret_cast<hr_node*>(node); }
Output output_of(hr_output output) {
  require(output.node != nullptr, "an output has no node");
  return {&node_of(output.node), output.index};
}

// No exception leaves the core: each becomes a status.
template <class F>
hr_status* guarded(F&& f) {
  try {
    f();
    return nullptr;
  } catch (const Error& error) {
    return new hr_status{int(error.code()), error.what(), error.node()};
  } catch (const std::bad_alloc&) {
    return new hr_status{int(Code::resource_exhausted), "out of memory", ""};
  } catch (const std::exception& error) {
    return new hr_status{int(Code::internal), error.what(), ""};
  }
}

Shape shape_of(const int64_t* dims, int rank) {
  return rank < 0 ? Shape::unknown() : Shape(std::vector<std::int64_t>(dims, dims + rank));
}

DType dtype_of(hr_dtype dtype) {
  require(is_valid(DType(dtype)), "there is no dtype number ", int(dtype));
  return DType(dtype);
}

std::string& element(const Tensor& tensor, std::int64_t index) {
  require(tensor.dtype() == DType::string, "a ", name_of(tensor.dtype()), " tensor holds no strings");
  require(index >= 0 && index < tensor.size(), "there is no element ", index, " of ", tensor.size());
  return tensor.data<std::string>()[index];
}

// Sets an attribute to what `make` gives, or keeps the error for hr_node_add.
template <class Make>
void set(hr_node_builder* builder, const char* name, Make&& make) {
  try {
    builder->spec.attrs.insert_or_assign(name, Attr(make()));
  } catch (const Error& error) {
    if (!builder->error) builder->error = Error(error.code(), str("attribute '", name, "': ", error.what()));
  }
}

}  // namespace
}  // namespace headrace

using namespace headrace;

extern "C" {

const char* hr_version(void) { return "0.1.0"; }

int hr_status_code(const hr_status* status) { return status ? status->code : 0; }
const char* hr_status_message(const hr_status* status) { return status ? status->message.c_str() : ""; }
const char* hr_status_node(const hr_status* status) { return status ? status->node.c_str() : ""; }
void hr_status_delete(hr_status* status) { delete status; }

const void* hr_bytes_data(const hr_bytes* bytes) { return bytes->bytes.data(); }
size_t hr_bytes_size(const hr_bytes* bytes) { return bytes->bytes.size(); }
void hr_bytes_delete(hr_bytes* bytes) { delete bytes; }

// ---- tensors

hr_status* hr_tensor_new(hr_dtype dtype, const int64_t* dims, int rank, hr_tensor** out) {
  return guarded([&] {
    const Shape shape = shape_of(dims, rank);
    require(shape.is_full(), "a tensor cannot have the shape ", shape);
    *out = new hr_tensor{Tensor(dtype_of(dtype), shape)};
  });
}

hr_status* hr_tensor_wrap(hr_dtype dtype, const int64_t* dims, int rank, void* data, size_t bytes,
                          void (*release)(void* context), void* context, hr_tensor** out) {
  return guarded([&] {
    auto buffer = BufferRef::borrow(data, bytes, [release, context] {
      if (release) release(context);
    });
    const Shape shape = shape_of(dims, rank);
    require(shape.is_full(), "a tensor cannot have the shape ", shape);
    const DType type = dtype_of(dtype);
    require(is_plain(type), "memory of ", name_of(type), " elements cannot be lent");
    require(std::uint64_t(checked_mul(shape.size(), std::int64_t(size_of(type)))) <= bytes, "a ",
            name_of(type), " tensor of shape ", shape, " needs more than ", bytes, " bytes");
    *out = new hr_tensor{Tensor(type, shape, std::move(buffer))};
  });
}

hr_dtype hr_tensor_dtype(const hr_tensor* tensor) { return hr_dtype(tensor->tensor.dtype()); }
int hr_tensor_rank(const hr_tensor* tensor) { return tensor->tensor.shape().rank(); }
int64_t hr_tensor_dim(const hr_tensor* tensor, int axis) {
  const Shape& shape = tensor->tensor.shape();
  return axis < 0 || axis >= shape.rank() ? -1 : shape[axis];
}
int64_t hr_tensor_size(const hr_tensor* tensor) { return tensor->tensor.size(); }
size_t hr_tensor_bytes(const hr_tensor* tensor) { return tensor->tensor.bytes(); }
void* hr_tensor_data(const hr_tensor* tensor) {
  return is_plain(tensor->tensor.dtype()) ? tensor->tensor.raw() : nullptr;
}
hr_status* hr_tensor_set_string(hr_tensor* tensor, int64_t index, const char* text, size_t size) {
  return guarded([&] { element(tensor->tensor, index).assign(text, size); });
}
hr_status* hr_tensor_get_string(const hr_tensor* tensor, int64_t index, const char** text, size_t* size) {
  return guarded([&] {
    const std::string& held = element(tensor->tensor, index);
    *text = held.data();
    *size = held.size();
  });
}
void hr_tensor_delete(hr_tensor* tensor) { delete tensor; }

// ---- graphs

hr_graph* hr_graph_new(void) { return new hr_graph; }
void hr_graph_delete(hr_graph* graph) { delete graph; }

hr_status* hr_graph_import(hr_graph* graph, const void* graph_def, size_t size, const char* prefix) {
  return guarded([&] {
    import_graphdef(*graph->graph, {static_cast<const char*>(graph_def), size}, {.prefix = prefix});
  });
}
hr_status* hr_graph_export(const hr_graph* graph, hr_bytes** graph_def) {
  return guarded([&] { *graph_def = new hr_bytes{to_graphdef(*graph->graph)}; });
}
hr_node* hr_graph_find(const hr_graph* graph, const char* name) {
  return handle_of(graph->graph->find(name));
}
size_t hr_graph_size(const hr_graph* graph) { return graph->graph->nodes().size(); }
hr_node* hr_graph_node(const hr_graph* graph, size_t index) {
  const auto nodes = graph->graph->nodes();
  return index < nodes.size() ? handle_of(nodes[index].get()) : nullptr;
}
hr_status* hr_graph_unique_name(const hr_graph* graph, const char* prefix, hr_bytes** name) {
  return guarded([&] { *name = new hr_bytes{graph->graph->unique_name(prefix)}; });
}

const char* hr_node_name(const hr_node* node) { return node_of(node).name().c_str(); }
const char* hr_node_op(const hr_node* node) { return node_of(node).op().name().c_str(); }
const char* hr_node_device(const hr_node* node) { return node_of(node).device().c_str(); }
int hr_node_num_inputs(const hr_node* node) { return int(node_of(node).inputs().size()); }
hr_output hr_node_input(const hr_node* node, int index) {
  if (index < 0 || index >= hr_node_num_inputs(node)) return {nullptr, 0};
  const Output input = node_of(node).input(index);
  return {handle_of(input.node), input.index};
}
int hr_node_num_outputs(const hr_node* node) { return node_of(node).num_outputs(); }
hr_dtype hr_output_dtype(hr_output output) {
  const Node& node = node_of(output.node);
  return output.index < 0 || output.index >= node.num_outputs() ? hr_dtype(0)
                                                                : hr_dtype(node.dtype(output.index));
}
int hr_output_shape(hr_output output, int64_t* dims, int capacity) {
  const Node& node = node_of(output.node);
  if (output.index < 0 || output.index >= node.num_outputs()) return -1;
  const Shape& shape = node.shape(output.index);
  for (int i = 0; i < shape.rank() && i < capacity; ++i) dims[i] = shape[i];
  return shape.rank();
}

hr_node_builder* hr_node_new(hr_graph* graph, const char* op, const char* name) {
  return new hr_node_builder{*graph->graph, op, {.name = name, .inputs = {}}, {}};
}
void hr_node_add_input(hr_node_builder* builder, hr_output input) {
  builder->spec.inputs.push_back({reinterpret_cast<Node*>(input.node), input.index});
}
void hr_node_add_control_input(hr_node_builder* builder, hr_node* before) {
  builder->spec.control_inputs.push_back(&node_of(before));
}
void hr_node_set_device(hr_node_builder* builder, const char* device) { builder->spec.device = device; }
void hr_node_set_attr(hr_node_builder* builder, const char* name, const void* attr_value, size_t size) {
  set(builder, name, [&] {
    const OpDef* op = find_op_or_null(builder->op);
    const AttrDef* known = op ? op->find_attr(name) : nullptr;
    return from_attr_value({static_cast<const char*>(attr_value), size}, known ? known->type : "");
  });
}
void hr_node_set_string(hr_node_builder* builder, const char* name, const char* text, size_t size) {
  set(builder, name, [&] { return std::string(text, size); });
}
void hr_node_set_int(hr_node_builder* builder, const char* name, int64_t value) {
  set(builder, name, [&] { return std::int64_t(value); });
}
void hr_node_set_float(hr_node_builder* builder, const char* name, float value) {
  set(builder, name, [&] { return value; });
}
void hr_node_set_bool(hr_node_builder* builder, const char* name, int value) {
  set(builder, name, [&] { return value != 0; });
}
void hr_node_set_dtype(hr_node_builder* builder, const char* name, hr_dtype value) {
  set(builder, name, [&] { return dtype_of(value); });
}
void hr_node_set_shape(hr_node_builder* builder, const char* name, const int64_t* dims, int rank) {
  set(builder, name, [&] { return shape_of(dims, rank); });
}
void hr_node_set_tensor(hr_node_builder* builder, const char* name, const hr_tensor* value) {
  // The graph keeps it, so lent memory is copied.
  set(builder, name, [&] { return value->tensor.copy(); });
}
void hr_node_set_function(hr_node_builder* builder, const char* name, const char* function) {
  set(builder, name, [&] { return FunctionName{function}; });
}
void hr_node_set_ints(hr_node_builder* builder, const char* name, const int64_t* values, int count) {
  set(builder, name, [&] { return std::vector<std::int64_t>(values, values + count); });
}
void hr_node_set_floats(hr_node_builder* builder, const char* name, const float* values, int count) {
  set(builder, name, [&] { return std::vector<float>(values, values + count); });
}
void hr_node_set_strings(hr_node_builder* builder, const char* name, const char* const* values, int count) {
  set(builder, name, [&] { return std::vector<std::string>(values, values + count); });
}
void hr_node_set_dtypes(hr_node_builder* builder, const char* name, const hr_dtype* values, int count) {
  set(builder, name, [&] {
    std::vector<DType> dtypes;
    for (int i = 0; i < count; ++i) dtypes.push_back(dtype_of(values[i]));
    return dtypes;
  });
}
hr_status* hr_node_add(hr_node_builder* builder, hr_node** out) {
  const std::unique_ptr<hr_node_builder> owned(builder);
  return guarded([&] {
    if (owned->error) throw *owned->error;
    *out = handle_of(&owned->graph.add(find_op(owned->op), std::move(owned->spec)));
  });
}

hr_status* hr_op_list(hr_bytes** out) {
  return guarded([&] {
    wire::Writer list;
    for (const OpDef* op : all_ops()) {
      list.message(1, [&](wire::Writer& to) { write_op_def(to, *op); });
    }
    *out = new hr_bytes{list.take()};
  });
}

// ---- sessions

hr_status* hr_session_new(hr_graph* graph, const hr_session_options* options, hr_session** out) {
  return guarded([&] {
    SessionOptions chosen;
    if (options) {
      if (options->target) chosen.target = options->target;
      chosen.intra_op_threads = options->intra_op_threads;
      chosen.plan.compile.inter_op_threads = options->inter_op_threads;
      chosen.plan.disabled_passes.assign(options->disabled_passes,
                                         options->disabled_passes + options->num_disabled_passes);
    }
    *out = new hr_session{std::make_unique<Session>(graph->graph, std::move(chosen))};
  });
}
void hr_session_close(hr_session* session) { session->session->close(); }
void hr_session_delete(hr_session* session) { delete session; }

hr_cancellation* hr_cancellation_new(void) { return new hr_cancellation; }
void hr_cancellation_cancel(hr_cancellation* cancellation) { cancellation->cancelled = true; }
void hr_cancellation_delete(hr_cancellation* cancellation) { delete cancellation; }

hr_status* hr_session_run(hr_session* session, const hr_feed* feeds, int num_feeds, const hr_output* fetches,
                          int num_fetches, hr_node* const* targets, int num_targets,
                          hr_cancellation* cancellation, int64_t timeout_ms, hr_tensor** results) {
  return guarded([&] {
    std::vector<std::pair<Output, Tensor>> fed;
    for (int i = 0; i < num_feeds; ++i) fed.emplace_back(output_of(feeds[i].output), feeds[i].value->tensor);
    std::vector<Output> fetched;
    for (int i = 0; i < num_fetches; ++i) fetched.push_back(output_of(fetches[i]));
    std::vector<Node*> run;
    for (int i = 0; i < num_targets; ++i) run.push_back(&node_of(targets[i]));
    headrace::RunOptions options;
    options.timeout_ms = timeout_ms;
    if (cancellation) options.interrupted = [cancellation] { return cancellation->cancelled.load(); };
    std::vector<Tensor> made =
        session->session->run(std::move(fed), std::move(fetched), std::move(run), options);
    std::vector<std::unique_ptr<hr_tensor>> owned;  // all or none are handed over
    for (Tensor& tensor : made) owned.push_back(std::make_unique<hr_tensor>(hr_tensor{std::move(tensor)}));
    for (std::size_t i = 0; i < owned.size(); ++i) results[i] = owned[i].release();
  });
}

}  // extern "C"
