// Definitions of readers: they take names of files from a queue, and give what is in the files, piece by
// piece.
#include "core/registry/ops.h"

namespace headrace {
namespace {

void handle_shape(ShapeContext& c) { c.output(0, Shape()); }

void scalars(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, Shape());
}

OpDef& reader(const char* name) {
  return op(name)
      .out("reader_handle: resource")
      .attr("container: string = ''", "shared_name: string = ''")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(handle_shape);
}

OpDef& access(const char* name, ShapeRule rule) {
  return op(name)
      .in("reader_handle: resource")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(std::move(rule));
}

}  // namespace

HEADRACE_OPS(reader) {
  reader("TextLineReaderV2")
      .attr("skip_header_lines: int = 0")
      .doc("A reader of text: gives lines, without their ends.");
  reader("FixedLengthRecordReaderV2")
      .attr("header_bytes: int = 0", "record_bytes: int", "footer_bytes: int = 0", "hop_bytes: int = 0",
            "encoding: string = ''")
      .doc("A reader of records of one length, which stand between a header and a footer.");
  reader("TFRecordReaderV2")
      .attr("compression_type: string = ''")
      .doc("A reader of files of records with checksums (TFRecord files).");
  reader("WholeFileReaderV2").doc("A reader that gives each file as a whole.");
  reader("IdentityReaderV2").doc("A reader that gives the names of files.");

  access("ReaderReadV2", scalars)
      .in("queue_handle: resource")
      .out("key: string", "value: string")
      .traits(Trait::blocking)
      .doc("The next piece of what a reader reads, and its place, such as \"file:12\"; waits for a file.");
  access("ReaderReadUpToV2",
         [](ShapeContext& c) {
           c.with_rank(2, 0);
           c.output(0, Shape{kUnknown});
           c.output(1, Shape{kUnknown});
         })
      .in("queue_handle: resource", "num_records: int64")
      .out("keys: string", "values: string")
      .traits(Trait::blocking)
      .doc("Up to so many pieces of one file, fewer at its end.");
  access("ReaderNumRecordsProducedV2", scalars)
      .out("records_produced: int64")
      .doc("How many pieces a reader has given.");
  access("ReaderNumWorkUnitsCompletedV2", scalars)
      .out("units_completed: int64")
      .doc("How many files a reader has read to the end.");
  access("ReaderSerializeStateV2", scalars)
      .out("state: string")
      .doc("What a reader of whole files or names has done, to be restored.");
  access("ReaderRestoreStateV2", [](ShapeContext& c) { c.with_rank(1, 0); })
      .in("state: string")
      .doc("Puts a reader in the state that another was in.");
  access("ReaderResetV2", no_outputs).doc("Makes a reader forget what it has done.");
}

}  // namespace headrace
