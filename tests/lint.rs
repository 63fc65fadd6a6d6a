//! What supd-mock finds wrong with a supervisord.conf.
