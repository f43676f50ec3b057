"""What programs tell the user: public names."""

from headrace.framework.log import *
