//! Each checker against a server made of a socket: what passes, and one cause for each way to fail.

#[path = "../support/mod.rs"]
mod support;

mod agents_advise_and_are_not_missed;
mod dns_answers_are_held_against_the_question;
mod files_decide_by_their_number;
mod grpc_services_say_how_they_are;
mod http_checks_name_one_cause_each;
mod http_pages_are_as_expected;
mod https_checks_verify_the_server;
mod kept_connections_are_used_again;
mod ldap_checks_name_one_cause_each;
mod mysql_checks_name_one_cause_each;
mod packet_filters_that_reject_are_the_targets_word;
mod ping_takes_the_socket_it_is_given;
mod postgres_checks_name_one_cause_each;
mod redis_checks_name_one_cause_each;
mod send_expect_takes_answers_in_order;
mod smtp_checks_name_one_cause_each;
mod tcp_checks_tell_refused_from_silent;
mod udp_replies_are_as_expected;
