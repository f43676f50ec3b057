"""Saved models: directories with graphs, variables and files, for serving and for other programs."""

from headrace.saved_model import builder as builder
from headrace.saved_model import constants as constants
from headrace.saved_model import loader as loader
from headrace.saved_model import main_op as main_op
from headrace.saved_model import signature_constants as signature_constants
from headrace.saved_model import signature_def_utils as signature_def_utils
from headrace.saved_model import tag_constants as tag_constants
from headrace.saved_model import utils as utils
from headrace.saved_model.builder import SavedModelBuilder as Builder
from headrace.saved_model.builder import simple_save as simple_save
from headrace.saved_model.constants import *
from headrace.saved_model.loader import contains_saved_model as contains_saved_model
from headrace.saved_model.loader import load as load
from headrace.saved_model.loader import maybe_saved_model_directory as maybe_saved_model_directory
from headrace.saved_model.main_op import main_op_with_restore as main_op_with_restore
from headrace.saved_model.signature import build_signature_def as build_signature_def
from headrace.saved_model.signature import build_tensor_info as build_tensor_info
from headrace.saved_model.signature import classification_signature_def as classification_signature_def
from headrace.saved_model.signature import get_tensor_from_tensor_info as get_tensor_from_tensor_info
from headrace.saved_model.signature import is_valid_signature as is_valid_signature
from headrace.saved_model.signature import predict_signature_def as predict_signature_def
from headrace.saved_model.signature import regression_signature_def as regression_signature_def
from headrace.saved_model.signature_constants import *
from headrace.saved_model.tag_constants import *
