#include "core/base/window.h"

#include <algorithm>

#include "core/base/error.h"

namespace headrace {

Window slide(std::int64_t in, std::int64_t size, std::int64_t stride, std::int64_t dilation,
             std::string_view padding, std::int64_t before, std::int64_t after) {
  require(stride > 0, "stride is ", stride, ", expected a positive number");
  require(dilation > 0, "dilation is ", dilation, ", expected a positive number");
  require(before >= 0 && after >= 0, "explicit padding is (", before, ", ", after,
          "), expected no negative numbers");
  Window window{.in = in, .out = kUnknown, .size = size, .stride = stride, .dilation = dilation};
  if (padding == "SAME") {
    if (in == kUnknown) return window;
    window.out = in / stride + (in % stride != 0);
    if (size == kUnknown) return window;
    const std::int64_t reach = checked_add(checked_mul(std::max<std::int64_t>(size - 1, 0), dilation), 1);
    const std::int64_t padded =
        checked_add(checked_mul(std::max<std::int64_t>(window.out - 1, 0), stride), reach);
    const std::int64_t zeros = std::max<std::int64_t>(0, padded - in);
    window.before = zeros / 2;
    window.after = zeros - window.before;
    return window;
  }
  if (padding == "EXPLICIT") {
    window.before = before;
    window.after = after;
  }
  if (in == kUnknown || size == kUnknown) return window;
  const std::int64_t reach = checked_add(checked_mul(std::max<std::int64_t>(size - 1, 0), dilation), 1);
  const std::int64_t padded = checked_add(in, checked_add(window.before, window.after));
  window.out = (padded - reach + stride) / stride;
  require(window.out >= 0 && padded - reach + stride >= 0, "a window of ", reach, " (size ", size,
          ", dilation ", dilation, ") does not fit into an input of ", padded, " with stride ", stride,
          "; use padding 'SAME' or a larger input");
  return window;
}

}  // namespace headrace
