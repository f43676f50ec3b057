// Definitions of summaries: operations whose value is a Summary message, for event files.
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kReal =
    "T: {float32, float64, int32, uint8, int16, int8, int64, bfloat16, uint16, float16, uint32, uint64}";

void require_scalar(ShapeContext& c, int i, const char* what) {
  require(Shape().compatible_with(c.input(i)), what, " has shape ", c.input(i), ", expected a scalar");
}

// One value for each tag.
void scalars_shape(ShapeContext& c) {
  require(c.input(0).compatible_with(c.input(1)), "tags have shape ", c.input(0), ", values ", c.input(1),
          "; give each value a tag");
  c.output(0, Shape());
}

void tagged_shape(ShapeContext& c) {
  require_scalar(c, 0, "tag");
  c.output(0, Shape());
}

void tensor_shape(ShapeContext& c) {
  require_scalar(c, 2, "serialized_summary_metadata");
  tagged_shape(c);
}

void image_shape(ShapeContext& c) {
  const Shape& images = c.input(1);
  require(!images.has_rank() || images.rank() == 4, "the images have shape ", images,
          ", expected [batch, height, width, channels]");
  require(!images.has_rank() || images[3] == kUnknown || images[3] == 1 || images[3] == 3 || images[3] == 4,
          "the images have shape ", images, " with ", images[3],
          " channels, expected 1 (grey), 3 (red, green, blue) or 4 (with opacity)");
  tagged_shape(c);
}

void audio_shape(ShapeContext& c) {
  const Shape& clips = c.input(1);
  require(!clips.has_rank() || clips.rank() == 2 || clips.rank() == 3, "the clips have shape ", clips,
          ", expected [batch, frames] or [batch, frames, channels]");
  if (c.num_inputs() == 3) require_scalar(c, 2, "sample_rate");
  tagged_shape(c);
}

}  // namespace

HEADRACE_OPS(summary) {
  op("ScalarSummary")
      .in("tags: string", "values: T")
      .out("summary: string")
      .attr(kReal)
      .traits(Trait::no_gradient)
      .shape(scalars_shape)
      .doc("A Summary message with a number for each tag.");
  op("HistogramSummary")
      .in("tag: string", "values: T")
      .out("summary: string")
      .attr(std::string(kReal) + " = float32")
      .traits(Trait::no_gradient)
      .shape(tagged_shape)
      .doc("A Summary message with the histogram of all elements, which must be finite.");
  op("ImageSummary")
      .in("tag: string", "tensor: T")
      .out("summary: string")
      .attr("max_images: int >= 1 = 3", "T: {uint8, float32, float16, float64} = float32",
            "bad_color: tensor = uint8[255, 0, 0, 255]")
      .traits(Trait::no_gradient)
      .shape(image_shape)
      .doc(
          "A Summary message with the first `max_images` images, as PNG. Pixels are bytes, or floats that "
          "are "
          "scaled image by image: the brightest becomes 255, and if there are negative ones, 0 becomes 128. "
          "What is not finite gets `bad_color`.");
  op("AudioSummary")
      .in("tag: string", "tensor: float32")
      .out("summary: string")
      .attr("sample_rate: float", "max_outputs: int >= 1 = 3")
      .traits(Trait::no_gradient)
      .shape(audio_shape)
      .doc("A Summary message with the first `max_outputs` clips, whose samples are in [-1, 1], as WAV.");
  op("AudioSummaryV2")
      .in("tag: string", "tensor: float32", "sample_rate: float32")
      .out("summary: string")
      .attr("max_outputs: int >= 1 = 3")
      .traits(Trait::no_gradient)
      .shape(audio_shape)
      .doc("A Summary message with the first `max_outputs` clips, whose samples are in [-1, 1], as WAV.");
  op("TensorSummary")
      .in("tensor: T")
      .out("summary: string")
      .attr("T: type", "description: string = ''", "labels: list(string) = []", "display_name: string = ''")
      .traits(Trait::no_gradient)
      .shape(scalar_shape)
      .doc("A Summary message with a tensor under the name of this node.");
  op("TensorSummaryV2")
      .in("tag: string", "tensor: T", "serialized_summary_metadata: string")
      .out("summary: string")
      .attr("T: type")
      .traits(Trait::no_gradient)
      .shape(tensor_shape)
      .doc("A Summary message with a tensor, and with a SummaryMetadata message that says who shows it.");
  op("MergeSummary")
      .in("inputs: N * string")
      .out("summary: string")
      .attr("N: int >= 1")
      .traits(Trait::no_gradient)
      .shape(scalar_shape)
      .doc("A Summary message with the values of all of its inputs, whose tags must differ.");
}

}  // namespace headrace
