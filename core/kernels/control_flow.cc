// Kernels of what orders, watches and checks a computation.
#include <chrono>
#include <cstdio>
#include <fstream>

#include "core/base/text.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

std::unique_ptr<Kernel> prepare_no_op(PrepareContext&) { return nothing_to_run(); }

// The shapes agree: the shape rule has seen them full.
std::unique_ptr<Kernel> prepare_pass_on(PrepareContext& c) {
  c.alias(0, 0);
  return nothing_to_run();
}

// The tensors from input `first` on, one after the other.
auto data_text(const PrepareContext& c, int first, std::int64_t limit, std::string open, std::string close) {
  std::vector<ValueType> types(c.inputs().begin() + first, c.inputs().end());
  return [=](const RunContext& r) {
    std::string text;
    for (std::size_t i = 0; i < types.size(); ++i) {
      text +=
          open + inline_text(types[i].dtype, types[i].shape, r.input<char>(first + int(i)), limit) + close;
    }
    return text;
  };
}

std::unique_ptr<Kernel> prepare_assert(PrepareContext& c) {
  auto text = data_text(c, 1, c.attr<std::int64_t>("summarize"), " [", "]");
  return kernel([text](RunContext& r) {
    if (!*r.input<bool>(0)) invalid("assertion failed:", text(r));
  });
}

// How many times a Print has printed.
struct Printed : Resource {
  std::atomic<std::int64_t> times{0};
  std::string describe() const override { return "the count of a Print"; }
};

std::unique_ptr<Kernel> prepare_print(PrepareContext& c) {
  c.alias(0, 0);
  const std::int64_t first_n = c.attr<std::int64_t>("first_n");
  auto printed = c.own_resources().find_or_create<Printed>("", "_Print/" + c.node().name(),
                                                           [] { return std::make_shared<Printed>(); });
  auto text = data_text(c, 1, c.attr<std::int64_t>("summarize"), "[", "]");
  return kernel([=, message = c.attr<std::string>("message")](RunContext& r) {
    if (first_n >= 0 && printed->times.fetch_add(1) >= first_n) return;
    const std::string line = message + text(r) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
  });
}

std::unique_ptr<Kernel> prepare_print_v2(PrepareContext& c) {
  const std::string end = c.attr<std::string>("end");
  const std::string& to = c.attr<std::string>("output_stream");
  if (to.starts_with("file://")) {
    return kernel([end, path = to.substr(7)](RunContext& r) {
      std::ofstream file(path, std::ios::app | std::ios::binary);
      file << *r.input<std::string>(0) << end << std::flush;
      if (!file) fail(Code::permission_denied, "cannot write to '", path, "'");
    });
  }
  // Log levels, as published for this attribute, all go to the error stream.
  const bool known = to == "stderr" || to == "log(info)" || to == "log(warning)" || to == "log(error)";
  require(known || to == "stdout", "output_stream is '", to,
          "', expected 'stdout', 'stderr' or 'file://path'");
  return kernel([end, stream = known ? stderr : stdout](RunContext& r) {
    const std::string line = *r.input<std::string>(0) + end;
    std::fwrite(line.data(), 1, line.size(), stream);
    std::fflush(stream);
  });
}

std::unique_ptr<Kernel> prepare_timestamp(PrepareContext&) {
  return kernel([](RunContext& r) {
    using namespace std::chrono;
    *r.output<double>(0) = duration<double>(system_clock::now().time_since_epoch()).count();
  });
}

}  // namespace

HEADRACE_KERNELS(control_flow) {
  for (const char* name : {"NoOp", "ControlTrigger"}) add_kernel(name, prepare_no_op);
  add_kernel("EnsureShape", prepare_pass_on);
  add_kernel("Assert", prepare_assert);
  add_kernel("Print", prepare_print);
  add_kernel("PrintV2", prepare_print_v2);
  add_kernel("Timestamp", prepare_timestamp);
}

}  // namespace headrace
