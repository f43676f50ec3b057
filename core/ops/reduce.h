// Shape rules of reductions, for other families that reduce.
#pragma once

#include "core/graph/op_def.h"

namespace headrace {

// Input 1 names the axes of input 0 that go, or become 1 (attribute "keep_dims").
void reduce_shape(ShapeContext& c);
// Input 1 gives each row of input 0 a segment, input 2 the number of segments.
void unsorted_segment_shape(ShapeContext& c);

}  // namespace headrace
