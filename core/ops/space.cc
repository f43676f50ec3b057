// Definitions: blocks of pixels moved between space, depth and batch; patches of pictures.
#include <algorithm>

#include "core/ops/known_ints.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kFormat = "data_format: {'NHWC', 'NCHW'} = 'NHWC'";

// Where height, width and channels are.
struct Layout {
  int height, width, channels;
};
Layout layout(const ShapeContext& c) {
  return c.attr<std::string>("data_format") == "NHWC" ? Layout{1, 2, 3} : Layout{2, 3, 1};
}

std::int64_t divide(std::int64_t size, std::int64_t by, const char* what, const Shape& shape) {
  require(size == kUnknown || size % by == 0, "the ", what, " of shape ", shape, " must be divisible by ",
          by);
  return size == kUnknown ? kUnknown : size / by;
}

void space_to_depth_shape(ShapeContext& c) {
  const Shape input = c.with_rank(0, 4);
  const std::int64_t block = c.attr<std::int64_t>("block_size");
  const Layout at = layout(c);
  Shape shape = input;
  shape.set_dim(at.height, divide(input[at.height], block, "height", input));
  shape.set_dim(at.width, divide(input[at.width], block, "width", input));
  shape.set_dim(at.channels, mul_dims(input[at.channels], checked_mul(block, block)));
  c.output(0, shape);
}

void depth_to_space_shape(ShapeContext& c) {
  const Shape input = c.with_rank(0, 4);
  const std::int64_t block = c.attr<std::int64_t>("block_size");
  const Layout at = layout(c);
  Shape shape = input;
  shape.set_dim(at.height, mul_dims(input[at.height], block));
  shape.set_dim(at.width, mul_dims(input[at.width], block));
  shape.set_dim(at.channels,
                divide(input[at.channels], checked_mul(block, block), "number of channels", input));
  c.output(0, shape);
}

// What moves between space and batch: `block` and the two columns of `edges` (paddings or crops), one entry
// for each spatial dimension, if both are known.
void space_and_batch(ShapeContext& c, bool to_batch, const std::optional<std::vector<std::int64_t>>& block,
                     const std::optional<std::vector<std::int64_t>>& edges, std::int64_t count) {
  const Shape input = count == kUnknown ? c.input(0) : c.with_rank_at_least(0, int(count) + 1);
  if (!input.has_rank()) return;
  Shape shape = input;
  shape.set_dim(0, kUnknown);
  if (count == kUnknown) return c.output(0, Shape::unknown_of_rank(input.rank()));
  std::int64_t blocks = 1;
  for (int i = 0; i < int(count); ++i) {
    shape.set_dim(i + 1, kUnknown);
    if (!block) continue;
    const std::int64_t size = (*block)[std::size_t(i)];
    require(size >= 1, "a block cannot have the size ", size);
    blocks = checked_mul(blocks, size);
    if (!edges || input[i + 1] == kUnknown) continue;
    const std::int64_t before = (*edges)[std::size_t(2 * i)], after = (*edges)[std::size_t(2 * i + 1)];
    require(before >= 0 && after >= 0, to_batch ? "paddings" : "crops", " cannot be negative, got ", before,
            " and ", after);
    if (to_batch) {
      const std::int64_t padded = checked_add(input[i + 1], checked_add(before, after));
      require(padded % size == 0, "dimension ", i + 1, " of shape ", input, " is ", padded,
              " with its padding; it must be divisible by the block's ", size);
      shape.set_dim(i + 1, padded / size);
    } else {
      const std::int64_t whole = checked_mul(input[i + 1], size);
      require(before + after <= whole, "the crops ", before, " and ", after, " are more than dimension ",
              i + 1, " has: ", whole);
      shape.set_dim(i + 1, whole - before - after);
    }
  }
  if (block) {
    if (to_batch) {
      shape.set_dim(0, mul_dims(input[0], blocks));
    } else {
      shape.set_dim(0, divide(input[0], blocks, "batch", input));
    }
  }
  c.output(0, shape);
}

std::optional<std::vector<std::int64_t>> known_value(ShapeContext& c, int i) {
  const Tensor* value = c.value(i);
  return value ? std::optional(to_ints(*value)) : std::nullopt;
}

void check_edges(ShapeContext& c, int i, std::int64_t count) {
  require(c.with_rank(i, 2).compatible_with(Shape{count, 2}), "input ", i, " has shape ", c.input(i),
          ", expected ", Shape{count, 2}, ": before and after for each spatial dimension");
}

template <bool to_batch>
void space_batch_nd_shape(ShapeContext& c) {
  const std::int64_t count = c.with_rank(1, 1)[0];
  check_edges(c, 2, count);
  space_and_batch(c, to_batch, known_value(c, 1), known_value(c, 2), count);
}

template <bool to_batch>
void space_batch_shape(ShapeContext& c) {
  c.with_rank(0, 4);
  check_edges(c, 1, 2);
  const std::int64_t size = c.attr<std::int64_t>("block_size");
  space_and_batch(c, to_batch, std::vector<std::int64_t>{size, size}, known_value(c, 1), 2);
  c.output(0, c.outputs()[0].merge(Shape::unknown_of_rank(4)));
}

void extract_image_patches_shape(ShapeContext& c) {
  const Shape images = c.with_rank(0, 4);
  const auto& sizes = c.attr<std::vector<std::int64_t>>("ksizes");
  const auto& strides = c.attr<std::vector<std::int64_t>>("strides");
  const auto& rates = c.attr<std::vector<std::int64_t>>("rates");
  for (const auto* attr : {&sizes, &strides, &rates}) {
    require(attr->size() == 4 && (*attr)[0] == 1 && (*attr)[3] == 1 && (*attr)[1] > 0 && (*attr)[2] > 0,
            "ksizes, strides and rates must be [1, height, width, 1]");
  }
  Shape shape = images;
  for (std::size_t i : {1, 2}) {
    const std::int64_t extent = checked_add(checked_mul(sizes[i] - 1, rates[i]), 1);
    const std::int64_t size = images[int(i)];
    if (size == kUnknown) continue;
    const bool same = c.attr<std::string>("padding") == "SAME";
    shape.set_dim(int(i), same ? (size + strides[i] - 1) / strides[i]
                               : std::max<std::int64_t>(0, (size - extent + strides[i]) / strides[i]));
  }
  shape.set_dim(3, mul_dims(images[3], checked_mul(sizes[1], sizes[2])));
  c.output(0, shape);
}

}  // namespace

HEADRACE_OPS(space) {
  op("SpaceToDepth")
      .in("input: T")
      .out("output: T")
      .attr("T: type", "block_size: int >= 2", kFormat)
      .shape(space_to_depth_shape)
      .doc("Each block of pixels becomes one pixel with the channels of all.");
  op("DepthToSpace")
      .in("input: T")
      .out("output: T")
      .attr("T: type", "block_size: int >= 2", kFormat)
      .shape(depth_to_space_shape)
      .doc("Each pixel becomes a block of pixels that share its channels.");
  op("SpaceToBatch")
      .in("input: T", "paddings: Tpaddings")
      .out("output: T")
      .attr("T: type", "Tpaddings: {int32, int64} = int32", "block_size: int >= 2")
      .shape(space_batch_shape<true>)
      .doc("The pixels at each place of a block become a picture of their own, after padding with zeros.");
  op("BatchToSpace")
      .in("input: T", "crops: Tidx")
      .out("output: T")
      .attr("T: type", "block_size: int >= 2", "Tidx: {int32, int64} = int32")
      .shape(space_batch_shape<false>)
      .doc("Pictures become the pixels at each place of the blocks of one, which is cropped.");
  op("SpaceToBatchND")
      .in("input: T", "block_shape: Tblock_shape", "paddings: Tpaddings")
      .out("output: T")
      .attr("T: type", "Tblock_shape: {int32, int64} = int32", "Tpaddings: {int32, int64} = int32")
      .shape(space_batch_nd_shape<true>)
      .doc("The elements at each place of a block become an array of their own, after padding with zeros.");
  op("BatchToSpaceND")
      .in("input: T", "block_shape: Tblock_shape", "crops: Tcrops")
      .out("output: T")
      .attr("T: type", "Tblock_shape: {int32, int64} = int32", "Tcrops: {int32, int64} = int32")
      .shape(space_batch_nd_shape<false>)
      .doc("Arrays become the elements at each place of the blocks of one, which is cropped.");
  op("ExtractImagePatches")
      .in("images: T")
      .out("patches: T")
      .attr("ksizes: list(int) >= 4", "strides: list(int) >= 4", "rates: list(int) >= 4",
            "T: {float32, float64, int32, uint8, int16, int8, int64, bfloat16, uint16, float16, uint32, "
            "uint64}",
            "padding: {'SAME', 'VALID'}")
      .shape(extract_image_patches_shape)
      .doc("The patch around each place as channels.");
}

}  // namespace headrace
