// Files of records and of events.
#include "core/io/records.h"

#include <nanobind/stl/string.h>

#include "bindings/python.h"
#include "core/io/events.h"

namespace headrace::python {
namespace {

// A record so large that other threads of Python may go on while it is written.
constexpr std::size_t kWorthReleasing = 64 << 10;

std::string_view view_of(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

// Records that wait for being compressed. Python's lock guards it.
class RecordBuffer {
 public:
  explicit RecordBuffer(std::size_t enough) : enough_(enough) {}
  bool add(const nb::bytes& data) {
    append_record(bytes_, view_of(data));
    return bytes_.size() >= enough_;
  }
  nb::bytes take() {
    nb::bytes taken(bytes_.data(), bytes_.size());
    bytes_.clear();
    return taken;
  }

 private:
  const std::size_t enough_;
  std::string bytes_;
};

}  // namespace

void bind_records(nb::module_& m) {
  nb::class_<RecordBuffer>(m, "RecordBuffer", "Data as they stand in a file of records.")
      .def(nb::init<std::size_t>(), nb::arg("enough"))
      .def("add", &RecordBuffer::add, nb::arg("data"),
           "Adds a record with its length and checksums; whether there are enough bytes now.")
      .def("take", &RecordBuffer::take, "All bytes, which are there no more.");
  nb::class_<RecordWriter>(m, "RecordWriter", "Writes a file of records.")
      .def(nb::init<std::string>(), nb::arg("path"))
      .def(
          "write",
          [](RecordWriter& writer, const nb::bytes& data) {
            const std::string_view view = view_of(data);
            if (view.size() < kWorthReleasing) return writer.write(view);
            const nb::gil_scoped_release release;
            writer.write(view);
          },
          nb::arg("data"), "Adds a record. FailedPreconditionError if the writer is closed.")
      .def("flush", &RecordWriter::flush, nb::call_guard<nb::gil_scoped_release>(),
           "Returns when everything is in the file.")
      .def("close", &RecordWriter::close, nb::call_guard<nb::gil_scoped_release>(),
           "Writes what is left, and closes the file.");
  nb::class_<RecordParser>(m, "RecordParser",
                           "Takes a file of records in pieces and hands out the records that are complete.")
      .def(nb::init<std::string>(), nb::arg("source"))
      .def(
          "feed",
          [](RecordParser& parser, const nb::bytes& piece) {
            nb::list records;
            for (const std::string& record : parser.feed(view_of(piece))) {
              records.append(nb::bytes(record.data(), record.size()));
            }
            return records;
          },
          nb::arg("piece"), nb::sig("def feed(self, piece: bytes) -> list[bytes]"),
          "The records that the piece completes. DataLossError if a checksum is wrong.")
      .def("finish", &RecordParser::finish, "DataLossError if the file ends within a record.");
  nb::class_<EventWriter>(m, "EventWriter", "Appends events to a file, by a thread of its own.")
      .def(nb::init<const std::string&, std::size_t>(), nb::arg("path"), nb::arg("max_queue"))
      .def(
          "add",
          [](EventWriter& writer, const nb::bytes& event) {
            const std::string_view view = view_of(event);
            const nb::gil_scoped_release release;
            writer.add(view);
          },
          nb::arg("event"), "Waits only if many events are still to be written.")
      .def("flush", &EventWriter::flush, nb::call_guard<nb::gil_scoped_release>(),
           "Returns when everything is in the file.")
      .def("close", &EventWriter::close, nb::call_guard<nb::gil_scoped_release>(),
           "Writes what there is, and ends the thread.");
}

}  // namespace headrace::python
