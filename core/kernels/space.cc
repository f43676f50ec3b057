// Kernels: space, depth and batch are transposes of the input seen as blocks; patches are windows.
#include <algorithm>
#include <numeric>

#include "core/base/parallel.h"
#include "core/kernels/box.h"
#include "core/kernels/strided_copy.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

using Ints = std::vector<std::int64_t>;

// A transpose of an array seen with these dimensions.
StridedCopy transposed(DType dtype, const Ints& dims, const Ints& perm) {
  const Ints strides = strides_of(dims);
  Ints to, from;
  for (std::int64_t axis : perm) {
    to.push_back(dims[std::size_t(axis)]);
    from.push_back(strides[std::size_t(axis)]);
  }
  return StridedCopy(dtype, to, from, strides_of(to));
}

std::unique_ptr<Kernel> run_copy(PrepareContext& c, StridedCopy copy) {
  return kernel([copy = std::move(copy), output = OutputMemory(c, 0)](RunContext& r) {
    copy.run(r.input<void>(0), output(r));
  });
}

std::unique_ptr<Kernel> prepare_space_to_depth(PrepareContext& c) {
  const Shape &x = c.input_shape(0), &y = c.output_shape(0);
  const std::int64_t b = c.attr<std::int64_t>("block_size");
  const DType dtype = c.input_dtype(0);
  if (c.attr<std::string>("data_format") == "NHWC")
    return run_copy(c, transposed(dtype, {x[0], y[1], b, y[2], b, x[3]}, {0, 1, 3, 2, 4, 5}));
  return run_copy(c, transposed(dtype, {x[0], x[1], y[2], b, y[3], b}, {0, 3, 5, 1, 2, 4}));
}

std::unique_ptr<Kernel> prepare_depth_to_space(PrepareContext& c) {
  const Shape &x = c.input_shape(0), &y = c.output_shape(0);
  const std::int64_t b = c.attr<std::int64_t>("block_size");
  const DType dtype = c.input_dtype(0);
  if (c.attr<std::string>("data_format") == "NHWC")
    return run_copy(c, transposed(dtype, {x[0], x[1], x[2], b, b, y[3]}, {0, 1, 3, 2, 4, 5}));
  return run_copy(c, transposed(dtype, {x[0], b, b, y[1], x[2], x[3]}, {0, 3, 4, 1, 5, 2}));
}

// One copy for each place in a block: the elements that lie there, between an array in space and its part of
// the batch. Places whose elements are partly padding (or cropped) copy the rest only.
struct Place {
  StridedCopy copy;
  std::int64_t in_space, in_batch;  // offsets
};

std::vector<Place> places(DType dtype, const Shape& space, const Shape& batch, const Ints& block,
                          const Ints& edges, bool to_batch) {
  const int count = int(block.size());
  const Ints space_strides = strides_of(space.dims()), batch_strides = strides_of(batch.dims());
  std::int64_t total = 1;
  for (std::int64_t size : block) {
    require(size >= 1, "a block cannot have the size ", size);
    total *= size;
  }
  require(batch[0] == space[0] * total, "blocks of ", total, " elements do not lead from a batch of ",
          space[0], " to ", batch[0]);
  for (int i = 0; i < count; ++i) {
    const std::int64_t before = edges[std::size_t(2 * i)], after = edges[std::size_t(2 * i + 1)];
    require(
        before >= 0 && after >= 0 && space[i + 1] + before + after == batch[i + 1] * block[std::size_t(i)],
        "blocks of ", block[std::size_t(i)], " with the edges ", before, " and ", after,
        " do not lead from dimension ", space[i + 1], " to ", batch[i + 1]);
  }
  std::vector<Place> made;
  for (std::int64_t p = 0; p < total; ++p) {
    Ints dims(space.dims().begin(), space.dims().end()), in_space = space_strides, in_batch = batch_strides;
    std::int64_t space_offset = 0, batch_offset = p * space[0] * batch_strides[0], rest = p;
    bool empty = false;
    for (int i = count; i-- > 0;) {
      const std::int64_t size = block[std::size_t(i)], within = rest % size;
      rest /= size;
      // Place j of the batch is place j * size + within - before of space.
      const std::int64_t shift = within - edges[std::size_t(2 * i)];
      const std::int64_t first = shift >= 0 ? 0 : (-shift + size - 1) / size;
      const std::int64_t last = shift >= space[i + 1] ? 0 : (space[i + 1] - shift + size - 1) / size;
      empty |= last <= first;
      dims[std::size_t(i + 1)] = std::max<std::int64_t>(0, last - first);
      in_space[std::size_t(i + 1)] = size * space_strides[std::size_t(i + 1)];
      space_offset += (first * size + shift) * space_strides[std::size_t(i + 1)];
      batch_offset += first * batch_strides[std::size_t(i + 1)];
    }
    if (empty) continue;
    made.push_back({StridedCopy(dtype, dims, to_batch ? in_space : in_batch, to_batch ? in_batch : in_space),
                    space_offset, batch_offset});
  }
  return made;
}

std::unique_ptr<Kernel> space_and_batch(PrepareContext& c, bool to_batch, std::vector<int> inputs,
                                        std::optional<Ints> block) {
  const DType dtype = c.input_dtype(0);
  const Shape& space = to_batch ? c.input_shape(0) : c.output_shape(0);
  const Shape& batch = to_batch ? c.output_shape(0) : c.input_shape(0);
  FromInts<std::vector<Place>> all(c, std::move(inputs), [=](auto& values) {
    return places(dtype, space, batch, block ? *block : values[0], values.back(), to_batch);
  });
  return kernel([=, output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    // Only padding leaves places that nothing is copied to.
    if (to_batch && batch.size() != space.size()) set_zero(dtype, to, batch.size());
    all.with(r, [&](const std::vector<Place>& made) {
      for (const Place& place : made) {
        place.copy.run(r.input<void>(0), to_batch ? place.in_space : place.in_batch, to,
                       to_batch ? place.in_batch : place.in_space);
      }
    });
  });
}

template <bool to_batch>
std::unique_ptr<Kernel> prepare_space_batch(PrepareContext& c) {
  const std::int64_t size = c.attr<std::int64_t>("block_size");
  return space_and_batch(c, to_batch, {1}, Ints{size, size});
}
template <bool to_batch>
std::unique_ptr<Kernel> prepare_space_batch_nd(PrepareContext& c) {
  return space_and_batch(c, to_batch, {1, 2}, std::nullopt);
}

std::unique_ptr<Kernel> prepare_extract_image_patches(PrepareContext& c) {
  const Shape &x = c.input_shape(0), &y = c.output_shape(0);
  const auto& sizes = c.attr<Ints>("ksizes");
  const auto& strides = c.attr<Ints>("strides");
  const auto& rates = c.attr<Ints>("rates");
  const DType dtype = c.input_dtype(0);
  Ints begin(3, 0);  // of the first patch, before the picture where it is padded
  for (std::size_t i : {1, 2}) {
    const std::int64_t needed = (y[int(i)] - 1) * strides[i] + (sizes[i] - 1) * rates[i] + 1;
    if (c.attr<std::string>("padding") == "SAME")
      begin[i] = -std::max<std::int64_t>(0, needed - x[int(i)]) / 2;
  }
  return kernel([=](RunContext& r) {
    visit_element(dtype, [&]<class T>(std::type_identity<T>) {
      const T* from = r.input<T>(0);
      T* to = r.output<T>(0);
      const std::int64_t height = x[1], width = x[2], depth = x[3];
      parallel_for(y[0] * y[1] * y[2], double(y[3]), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          const std::int64_t column = i % y[2], row = i / y[2] % y[1], picture = i / y[2] / y[1];
          T* out = to + i * y[3];
          for (std::int64_t h = 0; h < sizes[1]; ++h) {
            const std::int64_t at_h = begin[1] + row * strides[1] + h * rates[1];
            for (std::int64_t w = 0; w < sizes[2]; ++w, out += depth) {
              const std::int64_t at_w = begin[2] + column * strides[2] + w * rates[2];
              if (at_h < 0 || at_h >= height || at_w < 0 || at_w >= width) {
                std::fill_n(out, depth, T{});
              } else {
                std::copy_n(from + ((picture * height + at_h) * width + at_w) * depth, depth, out);
              }
            }
          }
        }
      });
    });
  });
}

}  // namespace

HEADRACE_KERNELS(space) {
  add_kernel("SpaceToDepth", prepare_space_to_depth);
  add_kernel("DepthToSpace", prepare_depth_to_space);
  add_kernel("SpaceToBatch", prepare_space_batch<true>);
  add_kernel("BatchToSpace", prepare_space_batch<false>);
  add_kernel("SpaceToBatchND", prepare_space_batch_nd<true>);
  add_kernel("BatchToSpaceND", prepare_space_batch_nd<false>);
  add_kernel("ExtractImagePatches", prepare_extract_image_patches);
}

}  // namespace headrace
