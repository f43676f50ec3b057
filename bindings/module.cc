#include "bindings/python.h"

NB_MODULE(_core, m) {
  using namespace headrace::python;
  m.doc() = "The C++ core of headrace. The public interface is the headrace package.";
  bind_errors(m);
  bind_tensor(m);
  bind_ops(m);
  bind_graph(m);
  bind_functions(m);
  bind_session(m);
  bind_devices(m);
  bind_kernels(m);
  bind_io(m);
  bind_records(m);
  bind_checkpoint(m);
}
