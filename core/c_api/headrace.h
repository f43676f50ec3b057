/* The C interface of Headrace: what every front end that is not in the core's own process image, or not in
 * C++, stands on. Graphs come in as GraphDef bytes or node by node, sessions run them, tensors go in and out.
 *
 * Rules that hold for all of it:
 * - A function that can fail returns NULL if it did not, else a status that the caller frees with
 *   hr_status_delete. Results are written through pointers, and only on success.
 * - An object made by hr_..._new (or written to an `out` of a pointer to a non-const type) is the caller's,
 * who frees it with the hr_..._delete of its type. Deleting NULL does nothing.
 * - Nodes belong to their graph, which outlives them; they are never freed alone.
 * - Text is UTF-8 and ends with a zero; what is returned as const char* belongs to the object that it came
 * from.
 * - Sessions may run from any number of threads at once. A graph may be built by one thread at a time, also
 * while sessions run it.
 */
#ifndef HEADRACE_H_
#define HEADRACE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hr_status hr_status;
typedef struct hr_bytes hr_bytes;
typedef struct hr_tensor hr_tensor;
typedef struct hr_graph hr_graph;
typedef struct hr_node hr_node;
typedef struct hr_node_builder hr_node_builder;
typedef struct hr_session hr_session;
typedef struct hr_cancellation hr_cancellation;

const char* hr_version(void);

/* ---- status: the codes are the published canonical ones (1 cancelled, 3 invalid argument, 5 not found...)
 */

int hr_status_code(const hr_status* status); /* 0 for NULL */
const char* hr_status_message(const hr_status* status);
const char* hr_status_node(const hr_status* status); /* the node at fault, or "" */
void hr_status_delete(hr_status* status);

/* ---- bytes: a message, owned */

const void* hr_bytes_data(const hr_bytes* bytes);
size_t hr_bytes_size(const hr_bytes* bytes);
void hr_bytes_delete(hr_bytes* bytes);

/* ---- tensors: immutable once they have been fed or set as an attribute */

/* The numbers are those of the GraphDef format. */
typedef enum hr_dtype {
  HR_FLOAT32 = 1,
  HR_FLOAT64 = 2,
  HR_INT32 = 3,
  HR_UINT8 = 4,
  HR_INT16 = 5,
  HR_INT8 = 6,
  HR_STRING = 7,
  HR_COMPLEX64 = 8,
  HR_INT64 = 9,
  HR_BOOL = 10,
  HR_BFLOAT16 = 14,
  HR_UINT16 = 17,
  HR_COMPLEX128 = 18,
  HR_FLOAT16 = 19,
  HR_RESOURCE = 20,
  HR_VARIANT = 21,
  HR_UINT32 = 22,
  HR_UINT64 = 23
} hr_dtype;

/* Elements are uninitialised; those of a string tensor are empty. */
hr_status* hr_tensor_new(hr_dtype dtype, const int64_t* dims, int rank, hr_tensor** out);
/* The caller's memory, row by row, of at least as many bytes as the shape needs. It must not change until
 * `release(context)` is called (on any thread; also if this fails); `release` may be NULL. Not for strings.
 */
hr_status* hr_tensor_wrap(hr_dtype dtype, const int64_t* dims, int rank, void* data, size_t bytes,
                          void (*release)(void* context), void* context, hr_tensor** out);
hr_dtype hr_tensor_dtype(const hr_tensor* tensor);
int hr_tensor_rank(const hr_tensor* tensor);
int64_t hr_tensor_dim(const hr_tensor* tensor, int axis);
int64_t hr_tensor_size(const hr_tensor* tensor); /* number of elements */
size_t hr_tensor_bytes(const hr_tensor* tensor);
/* The elements, row by row; NULL for strings, resources and variants. */
void* hr_tensor_data(const hr_tensor* tensor);
hr_status* hr_tensor_set_string(hr_tensor* tensor, int64_t index, const char* text, size_t size);
hr_status* hr_tensor_get_string(const hr_tensor* tensor, int64_t index, const char** text, size_t* size);
void hr_tensor_delete(hr_tensor* tensor);

/* ---- graphs */

/* Output number `index` of a node. */
typedef struct hr_output {
  hr_node* node;
  int index;
} hr_output;

hr_graph* hr_graph_new(void);
void hr_graph_delete(hr_graph* graph); /* sessions keep what they need */
/* Adds the nodes of a GraphDef, all or none, with `prefix` and a slash before their names unless it is "". */
hr_status* hr_graph_import(hr_graph* graph, const void* graph_def, size_t size, const char* prefix);
hr_status* hr_graph_export(const hr_graph* graph, hr_bytes** graph_def);
/* NULL if there is none. */
hr_node* hr_graph_find(const hr_graph* graph, const char* name);
size_t hr_graph_size(const hr_graph* graph);
/* Node number `index`, in order of creation; NULL beyond the end. */
hr_node* hr_graph_node(const hr_graph* graph, size_t index);
/* A name that no node has: `prefix` itself, or with a number. */
hr_status* hr_graph_unique_name(const hr_graph* graph, const char* prefix, hr_bytes** name);

const char* hr_node_name(const hr_node* node);
const char* hr_node_op(const hr_node* node);
const char* hr_node_device(const hr_node* node);
int hr_node_num_inputs(const hr_node* node);
hr_output hr_node_input(const hr_node* node, int index);
int hr_node_num_outputs(const hr_node* node);
hr_dtype hr_output_dtype(hr_output output);
/* The rank, or -1 if it is not known. Writes up to `capacity` dimensions, -1 for one that is not known. */
int hr_output_shape(hr_output output, int64_t* dims, int capacity);

/* A node in the making. hr_node_add frees the builder, whether it fails or not; a wrong argument of the calls
 * before it is reported by it too. */
hr_node_builder* hr_node_new(hr_graph* graph, const char* op, const char* name);
void hr_node_add_input(hr_node_builder* builder, hr_output input); /* lists flattened */
void hr_node_add_control_input(hr_node_builder* builder, hr_node* before);
void hr_node_set_device(hr_node_builder* builder, const char* device);
/* An attribute as an AttrValue message: any kind of attribute. */
void hr_node_set_attr(hr_node_builder* builder, const char* name, const void* attr_value, size_t size);
/* The common kinds without a message. */
void hr_node_set_string(hr_node_builder* builder, const char* name, const char* text, size_t size);
void hr_node_set_int(hr_node_builder* builder, const char* name, int64_t value);
void hr_node_set_float(hr_node_builder* builder, const char* name, float value);
void hr_node_set_bool(hr_node_builder* builder, const char* name, int value);
void hr_node_set_dtype(hr_node_builder* builder, const char* name, hr_dtype value);
/* A rank of -1 is an unknown one, a dimension of -1 too. */
void hr_node_set_shape(hr_node_builder* builder, const char* name, const int64_t* dims, int rank);
void hr_node_set_tensor(hr_node_builder* builder, const char* name, const hr_tensor* value);
void hr_node_set_function(hr_node_builder* builder, const char* name, const char* function);
void hr_node_set_ints(hr_node_builder* builder, const char* name, const int64_t* values, int count);
void hr_node_set_floats(hr_node_builder* builder, const char* name, const float* values, int count);
void hr_node_set_strings(hr_node_builder* builder, const char* name, const char* const* values, int count);
void hr_node_set_dtypes(hr_node_builder* builder, const char* name, const hr_dtype* values, int count);
hr_status* hr_node_add(hr_node_builder* builder, hr_node** out);

/* All definitions of operations, an OpList message. */
hr_status* hr_op_list(hr_bytes** out);

/* ---- sessions */

/* Zeros (and NULL for the whole) are the defaults. */
typedef struct hr_session_options {
  const char* target;                 /* sessions of one target share their variables; NULL: none */
  int intra_op_threads;               /* for one operation */
  int inter_op_threads;               /* for operations side by side */
  const char* const* disabled_passes; /* names of rewrites not to do */
  int num_disabled_passes;
} hr_session_options;

hr_status* hr_session_new(hr_graph* graph, const hr_session_options* options, hr_session** out);
/* Cancels what runs and refuses more. */
void hr_session_close(hr_session* session);
void hr_session_delete(hr_session* session); /* waits for what runs */

/* Ends steps early, from any thread and as often as one likes. */
hr_cancellation* hr_cancellation_new(void);
void hr_cancellation_cancel(hr_cancellation* cancellation);
void hr_cancellation_delete(hr_cancellation* cancellation);

typedef struct hr_feed {
  hr_output output;
  const hr_tensor* value;
} hr_feed;

/* Runs what the fetches and targets need. `results` gets one tensor for each fetch. `cancellation` may be
 * NULL; `timeout_ms` of 0 is none. */
hr_status* hr_session_run(hr_session* session, const hr_feed* feeds, int num_feeds, const hr_output* fetches,
                          int num_fetches, hr_node* const* targets, int num_targets,
                          hr_cancellation* cancellation, int64_t timeout_ms, hr_tensor** results);

#ifdef __cplusplus
}
#endif

#endif /* HEADRACE_H_ */
