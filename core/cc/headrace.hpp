// The C++ front end: builds graphs by the names of operations and runs them. It is this header, on top of the
// C interface, and nothing else:
//
//   headrace::cc::Graph graph;
//   auto x = graph.add("Placeholder", {}, {{"dtype", HR_FLOAT32}, {"shape", Shape{-1, 3}}}, "x");
//   auto w = graph.constant(Tensor::of<float>({3, 1}, {1, 2, 3}));
//   auto y = graph.add("MatMul", {x, w});
//   headrace::cc::Session session(graph);
//   Tensor result = session.run({{x, Tensor::of<float>({1, 3}, {1, 1, 1})}}, {y})[0];
//
// Failures are exceptions of class Error. The operations and their attributes are those of the GraphDef
// format.
#pragma once

#include <complex>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/c_api/headrace.h"

namespace headrace::cc {

class Error : public std::runtime_error {
 public:
  Error(int code, const std::string& message, std::string node)
      : std::runtime_error(message), code_(code), node_(std::move(node)) {}
  int code() const { return code_; }
  // The name of the node at fault, or "".
  const std::string& node() const { return node_; }

 private:
  int code_;
  std::string node_;
};

// Throws what a call of the C interface returned, if that is a failure.
inline void check(hr_status* status) {
  if (!status) return;
  const std::unique_ptr<hr_status, void (*)(hr_status*)> owned(status, &hr_status_delete);
  throw Error(hr_status_code(status), hr_status_message(status), hr_status_node(status));
}

// A handle that is deleted with its owner.
template <class T, void (*Delete)(T*)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T* handle) : handle_(handle, Delete) {}
  T* get() const { return handle_.get(); }

 private:
  std::unique_ptr<T, void (*)(T*)> handle_{nullptr, Delete};
};

inline std::string take_text(hr_bytes* bytes) {
  const Handle<hr_bytes, &hr_bytes_delete> owned(bytes);
  return {static_cast<const char*>(hr_bytes_data(bytes)), hr_bytes_size(bytes)};
}

// ---- tensors

template <class T>
struct DTypeOf;
#define HEADRACE_CC_DTYPE(TYPE, NUMBER)       \
  template <>                                 \
  struct DTypeOf<TYPE> {                      \
    static constexpr hr_dtype value = NUMBER; \
  };
HEADRACE_CC_DTYPE(float, HR_FLOAT32)
HEADRACE_CC_DTYPE(double, HR_FLOAT64)
HEADRACE_CC_DTYPE(std::int8_t, HR_INT8)
HEADRACE_CC_DTYPE(std::int16_t, HR_INT16)
HEADRACE_CC_DTYPE(std::int32_t, HR_INT32)
HEADRACE_CC_DTYPE(std::int64_t, HR_INT64)
HEADRACE_CC_DTYPE(std::uint8_t, HR_UINT8)
HEADRACE_CC_DTYPE(std::uint16_t, HR_UINT16)
HEADRACE_CC_DTYPE(std::uint32_t, HR_UINT32)
HEADRACE_CC_DTYPE(std::uint64_t, HR_UINT64)
HEADRACE_CC_DTYPE(bool, HR_BOOL)
HEADRACE_CC_DTYPE(std::complex<float>, HR_COMPLEX64)
HEADRACE_CC_DTYPE(std::complex<double>, HR_COMPLEX128)
#undef HEADRACE_CC_DTYPE

using Shape = std::vector<std::int64_t>;

// Elements in memory, shared between copies. Do not change them once the tensor has been fed.
class Tensor {
 public:
  Tensor() = default;
  // Uninitialised elements.
  Tensor(hr_dtype dtype, const Shape& shape) {
    hr_tensor* made = nullptr;
    check(hr_tensor_new(dtype, shape.data(), int(shape.size()), &made));
    own(made);
  }
  explicit Tensor(hr_tensor* handle) { own(handle); }

  template <class T>
  static Tensor of(const Shape& shape, const std::vector<T>& values) {
    Tensor tensor(DTypeOf<T>::value, shape);
    if (std::int64_t(values.size()) != tensor.size()) {
      throw Error(
          3, std::to_string(values.size()) + " values for a tensor of " + std::to_string(tensor.size()), "");
    }
    std::copy(values.begin(), values.end(), tensor.data<T>());
    return tensor;
  }
  template <class T>
  static Tensor scalar(T value) {
    Tensor tensor(DTypeOf<T>::value, {});
    *tensor.data<T>() = value;
    return tensor;
  }
  static Tensor strings(const Shape& shape, const std::vector<std::string>& values) {
    Tensor tensor(HR_STRING, shape);
    for (std::size_t i = 0; i < values.size(); ++i) {
      check(hr_tensor_set_string(tensor.get(), std::int64_t(i), values[i].data(), values[i].size()));
    }
    return tensor;
  }

  explicit operator bool() const { return handle_ != nullptr; }
  hr_tensor* get() const { return handle_.get(); }
  hr_dtype dtype() const { return hr_tensor_dtype(get()); }
  std::int64_t size() const { return hr_tensor_size(get()); }
  Shape shape() const {
    Shape dims;
    for (int i = 0; i < hr_tensor_rank(get()); ++i) dims.push_back(hr_tensor_dim(get(), i));
    return dims;
  }
  // The elements, row by row. Throws if they are of another type.
  template <class T>
  T* data() const {
    if (dtype() != DTypeOf<T>::value) {
      throw Error(3,
                  "a tensor of dtype " + std::to_string(dtype()) + " is read as dtype " +
                      std::to_string(DTypeOf<T>::value),
                  "");
    }
    return static_cast<T*>(hr_tensor_data(get()));
  }
  template <class T>
  std::vector<T> values() const {
    return std::vector<T>(data<T>(), data<T>() + size());
  }
  std::string text(std::int64_t index = 0) const {
    const char* text = nullptr;
    std::size_t size = 0;
    check(hr_tensor_get_string(get(), index, &text, &size));
    return {text, size};
  }

 private:
  void own(hr_tensor* handle) { handle_.reset(handle, &hr_tensor_delete); }
  std::shared_ptr<hr_tensor> handle_;
};

// ---- graphs

struct Function {
  std::string name;
};

// The value of an attribute. A dtype is an hr_dtype, a shape a Shape, a list of integers a
// std::vector<int64_t> in an Ints.
struct Ints {
  std::vector<std::int64_t> values;
};
class Attr {
 public:
  Attr(const char* value) : value_(std::string(value)) {}
  Attr(std::string value) : value_(std::move(value)) {}
  Attr(bool value) : value_(value) {}
  Attr(int value) : value_(std::int64_t(value)) {}
  Attr(std::int64_t value) : value_(value) {}
  Attr(float value) : value_(value) {}
  Attr(double value) : value_(float(value)) {}
  Attr(hr_dtype value) : value_(value) {}
  Attr(Shape value) : value_(std::move(value)) {}
  Attr(Tensor value) : value_(std::move(value)) {}
  Attr(Function value) : value_(std::move(value)) {}
  Attr(Ints value) : value_(std::move(value)) {}
  Attr(std::vector<float> value) : value_(std::move(value)) {}
  Attr(std::vector<std::string> value) : value_(std::move(value)) {}
  Attr(std::vector<hr_dtype> value) : value_(std::move(value)) {}

 private:
  friend class Graph;
  std::variant<std::string, bool, std::int64_t, float, hr_dtype, Shape, Tensor, Function, Ints,
               std::vector<float>, std::vector<std::string>, std::vector<hr_dtype>>
      value_;
};
using Attrs = std::vector<std::pair<std::string, Attr>>;

class Node;

struct Output {
  hr_output handle{nullptr, 0};
  Output() = default;
  explicit Output(hr_output handle) : handle(handle) {}
  Output(const Node& node, int index = 0);
  hr_dtype dtype() const { return hr_output_dtype(handle); }
  std::string name() const {
    return std::string(hr_node_name(handle.node)) + ":" + std::to_string(handle.index);
  }
  // Whether even the number of dimensions is known, and the dimensions, -1 where one is not.
  bool has_rank() const { return hr_output_shape(handle, nullptr, 0) >= 0; }
  Shape shape() const {
    const int rank = hr_output_shape(handle, nullptr, 0);
    Shape dims(rank < 0 ? 0 : std::size_t(rank));
    hr_output_shape(handle, dims.data(), rank);
    return dims;
  }
};

// A node of a graph, valid as long as the graph.
class Node {
 public:
  Node() = default;
  explicit Node(hr_node* handle) : handle_(handle) {}
  explicit operator bool() const { return handle_ != nullptr; }
  hr_node* get() const { return handle_; }
  std::string name() const { return hr_node_name(handle_); }
  std::string op() const { return hr_node_op(handle_); }
  int num_outputs() const { return hr_node_num_outputs(handle_); }
  Output output(int index) const { return Output({handle_, index}); }

 private:
  hr_node* handle_ = nullptr;
};

inline Output::Output(const Node& node, int index) : handle{node.get(), index} {}

class Graph {
 public:
  Graph() : handle_(hr_graph_new()) {}
  hr_graph* get() const { return handle_.get(); }

  // Adds a node. The name is made unique; by default it is the operation's.
  Node add(const std::string& op, const std::vector<Output>& inputs = {}, const Attrs& attrs = {},
           const std::string& name = "", const std::vector<Node>& control_inputs = {},
           const std::string& device = "") {
    hr_bytes* unique = nullptr;
    check(hr_graph_unique_name(get(), (name.empty() ? op : name).c_str(), &unique));
    hr_node_builder* builder = hr_node_new(get(), op.c_str(), take_text(unique).c_str());
    for (const Output& input : inputs) hr_node_add_input(builder, input.handle);
    for (const Node& before : control_inputs) hr_node_add_control_input(builder, before.get());
    hr_node_set_device(builder, device.c_str());
    for (const auto& [key, attr] : attrs) set(builder, key.c_str(), attr);
    hr_node* made = nullptr;
    check(hr_node_add(builder, &made));
    return Node(made);
  }
  Node constant(const Tensor& value, const std::string& name = "Const") {
    return add("Const", {}, {{"dtype", value.dtype()}, {"value", value}}, name);
  }
  Node placeholder(hr_dtype dtype, const Shape& shape, const std::string& name = "Placeholder") {
    return add("Placeholder", {}, {{"dtype", dtype}, {"shape", shape}}, name);
  }

  // Adds a GraphDef's nodes, all or none.
  void import(std::string_view graph_def, const std::string& prefix = "") {
    check(hr_graph_import(get(), graph_def.data(), graph_def.size(), prefix.c_str()));
  }
  std::string graph_def() const {
    hr_bytes* bytes = nullptr;
    check(hr_graph_export(get(), &bytes));
    return take_text(bytes);
  }
  // A node that is false if there is none of this name.
  Node find(const std::string& name) const { return Node(hr_graph_find(get(), name.c_str())); }
  std::vector<Node> nodes() const {
    std::vector<Node> all;
    for (std::size_t i = 0; i < hr_graph_size(get()); ++i) all.emplace_back(hr_graph_node(get(), i));
    return all;
  }

 private:
  static void set(hr_node_builder* builder, const char* key, const Attr& attr) {
    struct Setter {
      hr_node_builder* b;
      const char* key;
      void operator()(const std::string& v) const { hr_node_set_string(b, key, v.data(), v.size()); }
      void operator()(bool v) const { hr_node_set_bool(b, key, v); }
      void operator()(std::int64_t v) const { hr_node_set_int(b, key, v); }
      void operator()(float v) const { hr_node_set_float(b, key, v); }
      void operator()(hr_dtype v) const { hr_node_set_dtype(b, key, v); }
      void operator()(const Shape& v) const { hr_node_set_shape(b, key, v.data(), int(v.size())); }
      void operator()(const Tensor& v) const { hr_node_set_tensor(b, key, v.get()); }
      void operator()(const Function& v) const { hr_node_set_function(b, key, v.name.c_str()); }
      void operator()(const Ints& v) const {
        hr_node_set_ints(b, key, v.values.data(), int(v.values.size()));
      }
      void operator()(const std::vector<float>& v) const {
        hr_node_set_floats(b, key, v.data(), int(v.size()));
      }
      void operator()(const std::vector<hr_dtype>& v) const {
        hr_node_set_dtypes(b, key, v.data(), int(v.size()));
      }
      void operator()(const std::vector<std::string>& v) const {
        std::vector<const char*> texts;
        for (const std::string& text : v) texts.push_back(text.c_str());
        hr_node_set_strings(b, key, texts.data(), int(texts.size()));
      }
    };
    std::visit(Setter{builder, key}, attr.value_);
  }

  Handle<hr_graph, &hr_graph_delete> handle_;
};

// ---- sessions

class Cancellation {
 public:
  Cancellation() : handle_(hr_cancellation_new()) {}
  void cancel() { hr_cancellation_cancel(get()); }
  hr_cancellation* get() const { return handle_.get(); }

 private:
  Handle<hr_cancellation, &hr_cancellation_delete> handle_;
};

struct SessionOptions {
  std::string target = {};  // sessions of one target share their variables
  int intra_op_threads = 0;
  int inter_op_threads = 0;
  std::vector<std::string> disabled_passes = {};
};

// Runs a graph, which it needs no longer than its construction: from any number of threads at once.
class Session {
 public:
  explicit Session(const Graph& graph, const SessionOptions& options = {}) {
    std::vector<const char*> passes;
    for (const std::string& pass : options.disabled_passes) passes.push_back(pass.c_str());
    const hr_session_options chosen{options.target.c_str(), options.intra_op_threads,
                                    options.inter_op_threads, passes.data(), int(passes.size())};
    hr_session* made = nullptr;
    check(hr_session_new(graph.get(), &chosen, &made));
    handle_ = Handle<hr_session, &hr_session_delete>(made);
  }

  // The values of `fetches`, after all of `targets` have run. A timeout of 0 ms is none.
  std::vector<Tensor> run(const std::vector<std::pair<Output, Tensor>>& feeds,
                          const std::vector<Output>& fetches, const std::vector<Node>& targets = {},
                          Cancellation* cancellation = nullptr, std::int64_t timeout_ms = 0) {
    std::vector<hr_feed> fed;
    for (const auto& [output, value] : feeds) fed.push_back({output.handle, value.get()});
    std::vector<hr_output> fetched;
    for (const Output& output : fetches) fetched.push_back(output.handle);
    std::vector<hr_node*> run;
    for (const Node& node : targets) run.push_back(node.get());
    std::vector<hr_tensor*> results(fetches.size());
    check(hr_session_run(handle_.get(), fed.data(), int(fed.size()), fetched.data(), int(fetched.size()),
                         run.data(), int(run.size()), cancellation ? cancellation->get() : nullptr,
                         timeout_ms, results.data()));
    return std::vector<Tensor>(results.begin(), results.end());
  }
  void close() { hr_session_close(handle_.get()); }

 private:
  Handle<hr_session, &hr_session_delete> handle_;
};

}  // namespace headrace::cc
