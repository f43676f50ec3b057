#include "core/kernels/onednn/onednn.h"

#include <algorithm>
#include <string_view>

#include "core/base/error.h"
#include "core/base/parallel.h"

namespace headrace::onednn {
namespace {

// The library runs on the calling thread's team; a stream is cheap, and one for each thread needs no lock.
dnnl::stream& stream() {
  thread_local dnnl::stream own(engine());
  return own;
}

}  // namespace

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  num_threads();  // before the library first asks OpenMP
  return cpu;
}

memory::data_type type_of(DType dtype) {
  if (dtype == DType::float32) return memory::data_type::f32;
  if (dtype == DType::bfloat16) return memory::data_type::bf16;
  return memory::data_type::undef;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

bool is_fast(const dnnl::primitive_desc_base& primitive) {
  return primitive && std::string_view(primitive.impl_info_str()).find("ref") == std::string_view::npos;
}

Team::Team(int threads) : before_(num_threads()) {
  if (threads != before_) set_num_threads(threads);
}

// Two threads meet in a microsecond if neither has to be woken, and in many if one has.
Team::Team(double ns) : Team(int(std::clamp(ns / 12'000, 1.0, double(num_threads())))) {}

Team::~Team() {
  if (num_threads() != before_) set_num_threads(before_);
}

struct Primitive::Bound {
  std::vector<memory> memories;
  std::vector<dnnl_exec_arg_t> arguments;
};

Primitive::State::~State() { delete spare.load(); }

Primitive::Primitive(const dnnl::primitive& primitive, std::vector<Argument> arguments)
    : state_(std::make_shared<State>()) {
  state_->primitive = primitive;
  state_->threads = num_threads();
  state_->arguments = std::move(arguments);
}

void Primitive::run(std::span<const void* const> pointers) const {
  std::unique_ptr<Bound> bound(state_->spare.exchange(nullptr, std::memory_order_acquire));
  if (!bound) {
    bound = std::make_unique<Bound>();
    for (const Argument& argument : state_->arguments) {
      bound->memories.emplace_back(argument.desc, engine(), nullptr);
      bound->arguments.push_back({argument.role, bound->memories.back().get()});
    }
  }
  auto pointer = pointers.begin();
  for (memory& one : bound->memories) one.set_data_handle(const_cast<void*>(*pointer++));
  const Team team(state_->threads);
  const dnnl_status_t status = dnnl_primitive_execute(state_->primitive.get(), stream().get(),
                                                      int(bound->arguments.size()), bound->arguments.data());
  if (status != dnnl_success) internal("oneDNN failed with status ", int(status));
  delete state_->spare.exchange(bound.release(), std::memory_order_acq_rel);
}

}  // namespace headrace::onednn
