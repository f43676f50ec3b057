// What a graph knows of the state behind a handle.
#pragma once

#include "core/graph/graph.h"

namespace headrace {

struct HandleType {
  DType dtype = DType::invalid;    // invalid if not known
  Shape shape = Shape::unknown();  // static shape of the variable, perhaps partial
};

// The dtype and shape that the maker of a handle declares (VarHandleOp's attributes), looked up through
// identities. The argument of a function tells them in its attributes "_handle_dtypes" and "_handle_shapes",
// lists of one element each; whoever makes such an argument out of a handle calls `annotate_argument`.
HandleType handle_type(Output handle);
void annotate_argument(Node& argument, const HandleType& type);

// A variant that holds tensors tells what all of them are, so that what is planned for it knows their shape.
class Holder : public Variant {
 public:
  virtual HandleType holds() const = 0;
};
// What a variant tensor holds; unknown if it does not tell.
HandleType held_type(const Tensor& variant);

}  // namespace headrace
