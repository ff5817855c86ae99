-- Create "api_tokens" table
CREATE TABLE `api_tokens` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `label` text NOT NULL, `hash` text NOT NULL, `expires_at` datetime NULL, `revoked_at` datetime NULL, `region_id` text NOT NULL, `staff_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `api_tokens_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `api_tokens_staffs_staff` FOREIGN KEY (`staff_id`) REFERENCES `staffs` (`id`) ON DELETE NO ACTION);
-- Create index "api_tokens_hash_key" to table: "api_tokens"
CREATE UNIQUE INDEX `api_tokens_hash_key` ON `api_tokens` (`hash`);
-- Create index "apitoken_region_path" to table: "api_tokens"
CREATE INDEX `apitoken_region_path` ON `api_tokens` (`region_path`);
-- Create index "apitoken_region_id" to table: "api_tokens"
CREATE INDEX `apitoken_region_id` ON `api_tokens` (`region_id`);
-- Create index "apitoken_staff_id" to table: "api_tokens"
CREATE INDEX `apitoken_staff_id` ON `api_tokens` (`staff_id`);
-- Create "absences" table
CREATE TABLE `absences` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `deputy_id` text NOT NULL, `deputy_code` text NOT NULL, `deputy_name` text NOT NULL, `starts_at` datetime NOT NULL, `ends_at` datetime NOT NULL, `reason` text NOT NULL DEFAULT (''), `kept_by` text NOT NULL, `region_id` text NOT NULL, `staff_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `absences_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `absences_staffs_staff` FOREIGN KEY (`staff_id`) REFERENCES `staffs` (`id`) ON DELETE NO ACTION);
-- Create index "absence_region_path" to table: "absences"
CREATE INDEX `absence_region_path` ON `absences` (`region_path`);
-- Create index "absence_region_id" to table: "absences"
CREATE INDEX `absence_region_id` ON `absences` (`region_id`);
-- Create index "absence_staff_id_ends_at" to table: "absences"
CREATE INDEX `absence_staff_id_ends_at` ON `absences` (`staff_id`, `ends_at`);
-- Create index "absence_deputy_id_ends_at" to table: "absences"
CREATE INDEX `absence_deputy_id_ends_at` ON `absences` (`deputy_id`, `ends_at`);
-- Create "audit_entries" table
CREATE TABLE `audit_entries` (`id` text NOT NULL, `created_at` datetime NOT NULL, `viewer` text NOT NULL, `region_path` text NOT NULL DEFAULT (''), `viewer_name` text NOT NULL DEFAULT (''), `operation` text NOT NULL, `subject` text NOT NULL DEFAULT (''), `outcome` text NOT NULL, `code` text NOT NULL DEFAULT (''), `detail` json NULL, `input_hash` text NOT NULL DEFAULT (''), `changes` text NOT NULL DEFAULT (''), `position` integer NULL DEFAULT (0), PRIMARY KEY (`id`));
-- Create index "auditentry_region_path" to table: "audit_entries"
CREATE INDEX `auditentry_region_path` ON `audit_entries` (`region_path`);
-- Create index "auditentry_created_at" to table: "audit_entries"
CREATE INDEX `auditentry_created_at` ON `audit_entries` (`created_at`);
-- Create index "auditentry_viewer" to table: "audit_entries"
CREATE INDEX `auditentry_viewer` ON `audit_entries` (`viewer`);
-- Create index "auditentry_operation" to table: "audit_entries"
CREATE INDEX `auditentry_operation` ON `audit_entries` (`operation`);
-- Create index "auditentry_subject" to table: "audit_entries"
CREATE INDEX `auditentry_subject` ON `audit_entries` (`subject`);
-- Create index "auditentry_outcome" to table: "audit_entries"
CREATE INDEX `auditentry_outcome` ON `audit_entries` (`outcome`);
-- Create index "auditentry_code" to table: "audit_entries"
CREATE INDEX `auditentry_code` ON `audit_entries` (`code`);
-- Create index "auditentry_position" to table: "audit_entries"
CREATE INDEX `auditentry_position` ON `audit_entries` (`position`) WHERE position > 0;
-- Create "batches" table
CREATE TABLE `batches` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `action` text NOT NULL, `request` json NOT NULL, `preview` bool NOT NULL DEFAULT (false), `reason` text NOT NULL, `state` text NOT NULL DEFAULT ('queued'), `total` integer NOT NULL DEFAULT (0), `done` integer NOT NULL DEFAULT (0), `succeeded` integer NOT NULL DEFAULT (0), `refused` integer NOT NULL DEFAULT (0), `started_by` text NOT NULL, `began_at` datetime NULL, `ended_at` datetime NULL, `code` text NOT NULL DEFAULT (''), `cancel_reason` text NOT NULL DEFAULT (''), `lease_until` datetime NOT NULL, `fence` integer NOT NULL DEFAULT (0), `stalls` integer NOT NULL DEFAULT (0), `listed` bool NOT NULL DEFAULT (false), `cursor` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `batches_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION);
-- Create index "batch_region_path" to table: "batches"
CREATE INDEX `batch_region_path` ON `batches` (`region_path`);
-- Create index "batch_region_id" to table: "batches"
CREATE INDEX `batch_region_id` ON `batches` (`region_id`);
-- Create index "batch_state_lease_until" to table: "batches"
CREATE INDEX `batch_state_lease_until` ON `batches` (`state`, `lease_until`);
-- Create index "batch_action" to table: "batches"
CREATE INDEX `batch_action` ON `batches` (`action`);
-- Create index "batch_started_by" to table: "batches"
CREATE INDEX `batch_started_by` ON `batches` (`started_by`);
-- Create "batch_items" table
CREATE TABLE `batch_items` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `subject` text NOT NULL, `outcome` text NOT NULL DEFAULT ('waiting'), `code` text NOT NULL DEFAULT (''), `text_zh` text NOT NULL DEFAULT (''), `text_en` text NOT NULL DEFAULT (''), `decided_at` datetime NULL, `region_id` text NOT NULL, `batch_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `batch_items_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `batch_items_batches_batch` FOREIGN KEY (`batch_id`) REFERENCES `batches` (`id`) ON DELETE NO ACTION, CONSTRAINT `batch_items_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "batchitem_region_path" to table: "batch_items"
CREATE INDEX `batchitem_region_path` ON `batch_items` (`region_path`);
-- Create index "batchitem_region_id" to table: "batch_items"
CREATE INDEX `batchitem_region_id` ON `batch_items` (`region_id`);
-- Create index "batchitem_batch_id_subject" to table: "batch_items"
CREATE UNIQUE INDEX `batchitem_batch_id_subject` ON `batch_items` (`batch_id`, `subject`);
-- Create index "batchitem_batch_id_outcome" to table: "batch_items"
CREATE INDEX `batchitem_batch_id_outcome` ON `batch_items` (`batch_id`, `outcome`);
-- Create index "batchitem_case_id" to table: "batch_items"
CREATE INDEX `batchitem_case_id` ON `batch_items` (`case_id`);
-- Create "bindings" table
CREATE TABLE `bindings` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `effective_from` datetime NOT NULL, `ended_at` datetime NULL, `bound_by` text NOT NULL, `region_id` text NOT NULL, `process_id` text NOT NULL, `version_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `bindings_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `bindings_processes_process` FOREIGN KEY (`process_id`) REFERENCES `processes` (`id`) ON DELETE NO ACTION, CONSTRAINT `bindings_process_versions_version` FOREIGN KEY (`version_id`) REFERENCES `process_versions` (`id`) ON DELETE NO ACTION);
-- Create index "binding_region_path" to table: "bindings"
CREATE INDEX `binding_region_path` ON `bindings` (`region_path`);
-- Create index "binding_region_id" to table: "bindings"
CREATE INDEX `binding_region_id` ON `bindings` (`region_id`);
-- Create index "binding_process_id_region_id_effective_from" to table: "bindings"
CREATE INDEX `binding_process_id_region_id_effective_from` ON `bindings` (`process_id`, `region_id`, `effective_from`);
-- Create index "binding_version_id" to table: "bindings"
CREATE INDEX `binding_version_id` ON `bindings` (`version_id`);
-- Create "breaches" table
CREATE TABLE `breaches` (`id` text NOT NULL, `region_path` text NOT NULL, `indicator_code` text NOT NULL, `standard_code` text NOT NULL, `clause_number` text NOT NULL DEFAULT (''), `binding` bool NOT NULL, `credit_fen` integer NOT NULL DEFAULT (0), `escalated_to` text NOT NULL DEFAULT (''), `corrective_process` text NOT NULL DEFAULT (''), `corrective_error` text NOT NULL DEFAULT (''), `at` datetime NOT NULL, `region_id` text NOT NULL, `case_id` text NOT NULL, `corrective_case_id` text NULL, `clock_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `breaches_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `breaches_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION, CONSTRAINT `breaches_service_cases_corrective_case` FOREIGN KEY (`corrective_case_id`) REFERENCES `service_cases` (`id`) ON DELETE SET NULL, CONSTRAINT `breaches_clocks_clock` FOREIGN KEY (`clock_id`) REFERENCES `clocks` (`id`) ON DELETE NO ACTION);
-- Create index "breach_region_path" to table: "breaches"
CREATE INDEX `breach_region_path` ON `breaches` (`region_path`);
-- Create index "breach_region_id" to table: "breaches"
CREATE INDEX `breach_region_id` ON `breaches` (`region_id`);
-- Create index "breach_case_id" to table: "breaches"
CREATE INDEX `breach_case_id` ON `breaches` (`case_id`);
-- Create index "breach_corrective_case_id" to table: "breaches"
CREATE INDEX `breach_corrective_case_id` ON `breaches` (`corrective_case_id`);
-- Create index "breach_indicator_code" to table: "breaches"
CREATE INDEX `breach_indicator_code` ON `breaches` (`indicator_code`);
-- Create index "breach_at" to table: "breaches"
CREATE INDEX `breach_at` ON `breaches` (`at`);
-- Create "calendars" table
CREATE TABLE `calendars` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `code` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `kind` text NOT NULL, `timezone` text NOT NULL, `years` json NOT NULL, `document` text NOT NULL, `digest` text NOT NULL, `revision` integer NOT NULL DEFAULT (1), `region_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `calendars_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION);
-- Create index "calendars_code_key" to table: "calendars"
CREATE UNIQUE INDEX `calendars_code_key` ON `calendars` (`code`);
-- Create index "calendar_region_path" to table: "calendars"
CREATE INDEX `calendar_region_path` ON `calendars` (`region_path`);
-- Create index "calendar_region_id" to table: "calendars"
CREATE INDEX `calendar_region_id` ON `calendars` (`region_id`);
-- Create "case_attributes" table
CREATE TABLE `case_attributes` (`id` text NOT NULL, `name` text NOT NULL, `text` text NOT NULL DEFAULT (''), `number` real NOT NULL DEFAULT (0), `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `case_attributes_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "caseattribute_case_id_name" to table: "case_attributes"
CREATE UNIQUE INDEX `caseattribute_case_id_name` ON `case_attributes` (`case_id`, `name`);
-- Create index "caseattribute_name_text_case_id" to table: "case_attributes"
CREATE INDEX `caseattribute_name_text_case_id` ON `case_attributes` (`name`, `text`, `case_id`);
-- Create index "caseattribute_name_number_text_case_id" to table: "case_attributes"
CREATE INDEX `caseattribute_name_number_text_case_id` ON `case_attributes` (`name`, `number`, `text`, `case_id`);
-- Create "case_events" table
CREATE TABLE `case_events` (`id` text NOT NULL, `region_path` text NOT NULL, `seq` integer NOT NULL, `kind` text NOT NULL, `node_id` text NOT NULL DEFAULT (''), `input` json NOT NULL, `trail` json NOT NULL, `at` datetime NOT NULL, `by` text NOT NULL DEFAULT (''), `state_digest` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `case_events_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `case_events_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "caseevent_region_path" to table: "case_events"
CREATE INDEX `caseevent_region_path` ON `case_events` (`region_path`);
-- Create index "caseevent_region_id" to table: "case_events"
CREATE INDEX `caseevent_region_id` ON `case_events` (`region_id`);
-- Create index "caseevent_case_id_seq" to table: "case_events"
CREATE UNIQUE INDEX `caseevent_case_id_seq` ON `case_events` (`case_id`, `seq`);
-- Create index "caseevent_kind" to table: "case_events"
CREATE INDEX `caseevent_kind` ON `case_events` (`kind`);
-- Create "clauses" table
CREATE TABLE `clauses` (`id` text NOT NULL, `region_path` text NOT NULL, `number` text NOT NULL, `position` integer NOT NULL, `parent_number` text NOT NULL DEFAULT (''), `title_zh` text NOT NULL DEFAULT (''), `title_en` text NOT NULL DEFAULT (''), `text_zh` text NOT NULL DEFAULT (''), `text_en` text NOT NULL DEFAULT (''), `mandatory` bool NOT NULL DEFAULT (true), `roles` json NOT NULL, `policy` text NOT NULL DEFAULT ('pinned'), `source` text NOT NULL DEFAULT (''), `address` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, `version_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `clauses_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `clauses_standard_versions_version` FOREIGN KEY (`version_id`) REFERENCES `standard_versions` (`id`) ON DELETE NO ACTION);
-- Create index "clause_region_path" to table: "clauses"
CREATE INDEX `clause_region_path` ON `clauses` (`region_path`);
-- Create index "clause_region_id" to table: "clauses"
CREATE INDEX `clause_region_id` ON `clauses` (`region_id`);
-- Create index "clause_version_id_number" to table: "clauses"
CREATE UNIQUE INDEX `clause_version_id_number` ON `clauses` (`version_id`, `number`);
-- Create "clocks" table
CREATE TABLE `clocks` (`id` text NOT NULL, `region_path` text NOT NULL, `indicator_code` text NOT NULL, `standard_code` text NOT NULL, `clause_number` text NOT NULL DEFAULT (''), `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `nature` text NOT NULL, `start_event` text NOT NULL, `stop_event` text NOT NULL, `basis` text NOT NULL, `value` real NOT NULL, `unit` text NOT NULL, `cutoff_hour` integer NOT NULL DEFAULT (0), `credit_fen` integer NOT NULL DEFAULT (0), `state` text NOT NULL DEFAULT ('running'), `started_at` datetime NOT NULL, `due_at` datetime NOT NULL, `last_day` text NOT NULL DEFAULT (''), `provisional` bool NOT NULL DEFAULT (false), `warn_at` datetime NOT NULL, `next_at` datetime NOT NULL, `warned_at` datetime NULL, `breached_at` datetime NULL, `paused_at` datetime NULL, `stopped_at` datetime NULL, `binding` bool NOT NULL DEFAULT (true), `paused_micros` integer NOT NULL DEFAULT (0), `pause_reasons` json NOT NULL, `region_id` text NOT NULL, `case_id` text NOT NULL, `indicator_id` text NOT NULL, `shadowed_by_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `clocks_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `clocks_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION, CONSTRAINT `clocks_indicators_indicator` FOREIGN KEY (`indicator_id`) REFERENCES `indicators` (`id`) ON DELETE NO ACTION, CONSTRAINT `clocks_clocks_shadows` FOREIGN KEY (`shadowed_by_id`) REFERENCES `clocks` (`id`) ON DELETE SET NULL);
-- Create index "clock_region_path" to table: "clocks"
CREATE INDEX `clock_region_path` ON `clocks` (`region_path`);
-- Create index "clock_region_id" to table: "clocks"
CREATE INDEX `clock_region_id` ON `clocks` (`region_id`);
-- Create index "clock_case_id_indicator_id" to table: "clocks"
CREATE INDEX `clock_case_id_indicator_id` ON `clocks` (`case_id`, `indicator_id`);
-- Create index "clock_indicator_id" to table: "clocks"
CREATE INDEX `clock_indicator_id` ON `clocks` (`indicator_id`);
-- Create index "clock_shadowed_by_id" to table: "clocks"
CREATE INDEX `clock_shadowed_by_id` ON `clocks` (`shadowed_by_id`);
-- Create index "clock_next_at" to table: "clocks"
CREATE INDEX `clock_next_at` ON `clocks` (`next_at`);
-- Create index "clock_state" to table: "clocks"
CREATE INDEX `clock_state` ON `clocks` (`state`);
-- Create index "clock_indicator_code" to table: "clocks"
CREATE INDEX `clock_indicator_code` ON `clocks` (`indicator_code`);
-- Create index "clock_stop_event" to table: "clocks"
CREATE INDEX `clock_stop_event` ON `clocks` (`stop_event`);
-- Create index "clock_provisional" to table: "clocks"
CREATE INDEX `clock_provisional` ON `clocks` (`provisional`);
-- Create index "clock_binding" to table: "clocks"
CREATE INDEX `clock_binding` ON `clocks` (`binding`);
-- Create index "clock_region_path_state_due_at" to table: "clocks"
CREATE INDEX `clock_region_path_state_due_at` ON `clocks` (`region_path`, `state`, `due_at`);
-- Create "evidences" table
CREATE TABLE `evidences` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `kind` text NOT NULL, `media` text NOT NULL DEFAULT ('text'), `content` text NOT NULL, `digest` text NOT NULL, `by` text NOT NULL, `region_id` text NOT NULL, `case_id` text NOT NULL, `task_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `evidences_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `evidences_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION, CONSTRAINT `evidences_tasks_task` FOREIGN KEY (`task_id`) REFERENCES `tasks` (`id`) ON DELETE SET NULL);
-- Create index "evidence_region_path" to table: "evidences"
CREATE INDEX `evidence_region_path` ON `evidences` (`region_path`);
-- Create index "evidence_region_id" to table: "evidences"
CREATE INDEX `evidence_region_id` ON `evidences` (`region_id`);
-- Create index "evidence_case_id" to table: "evidences"
CREATE INDEX `evidence_case_id` ON `evidences` (`case_id`);
-- Create index "evidence_task_id" to table: "evidences"
CREATE INDEX `evidence_task_id` ON `evidences` (`task_id`);
-- Create index "evidence_kind" to table: "evidences"
CREATE INDEX `evidence_kind` ON `evidences` (`kind`);
-- Create "failures" table
CREATE TABLE `failures` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `token_seq` integer NOT NULL, `node_id` text NOT NULL, `code` text NOT NULL, `detail` text NOT NULL DEFAULT (''), `state` text NOT NULL DEFAULT ('open'), `attempts` integer NOT NULL DEFAULT (0), `retry_at` datetime NOT NULL, `retry_seconds` integer NOT NULL DEFAULT (0), `retries_left` integer NOT NULL DEFAULT (0), `reason` text NOT NULL DEFAULT (''), `ended_at` datetime NULL, `region_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `failures_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `failures_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "failure_region_path" to table: "failures"
CREATE INDEX `failure_region_path` ON `failures` (`region_path`);
-- Create index "failure_region_id" to table: "failures"
CREATE INDEX `failure_region_id` ON `failures` (`region_id`);
-- Create index "failure_case_id" to table: "failures"
CREATE INDEX `failure_case_id` ON `failures` (`case_id`);
-- Create index "failure_state_retry_at" to table: "failures"
CREATE INDEX `failure_state_retry_at` ON `failures` (`state`, `retry_at`);
-- Create index "failure_node_id" to table: "failures"
CREATE INDEX `failure_node_id` ON `failures` (`node_id`);
-- Create index "failure_code" to table: "failures"
CREATE INDEX `failure_code` ON `failures` (`code`);
-- Create "idempotency_keys" table
CREATE TABLE `idempotency_keys` (`id` text NOT NULL, `created_at` datetime NOT NULL, `viewer` text NOT NULL, `key` text NOT NULL, `operation` text NOT NULL, `input_hash` text NOT NULL, `result` blob NOT NULL, PRIMARY KEY (`id`));
-- Create index "idempotencykey_viewer_key" to table: "idempotency_keys"
CREATE UNIQUE INDEX `idempotencykey_viewer_key` ON `idempotency_keys` (`viewer`, `key`);
-- Create index "idempotencykey_created_at" to table: "idempotency_keys"
CREATE INDEX `idempotencykey_created_at` ON `idempotency_keys` (`created_at`);
-- Create "indicators" table
CREATE TABLE `indicators` (`id` text NOT NULL, `region_path` text NOT NULL, `code` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `kind` text NOT NULL, `nature` text NOT NULL, `statistic` text NOT NULL, `comparator` text NOT NULL, `value` real NOT NULL, `unit` text NOT NULL, `basis` text NOT NULL, `cutoff_hour` integer NULL, `target` real NULL, `start_event` text NOT NULL DEFAULT (''), `stop_event` text NOT NULL DEFAULT (''), `areas` json NOT NULL, `services` json NOT NULL, `pause_reasons` json NOT NULL, `exclusions` text NOT NULL DEFAULT (''), `consequence` text NOT NULL DEFAULT (''), `enabled` bool NOT NULL DEFAULT (true), `verification` text NOT NULL DEFAULT (''), `source` text NOT NULL DEFAULT (''), `address` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, `version_id` text NOT NULL, `clause_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `indicators_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `indicators_standard_versions_version` FOREIGN KEY (`version_id`) REFERENCES `standard_versions` (`id`) ON DELETE NO ACTION, CONSTRAINT `indicators_clauses_clause` FOREIGN KEY (`clause_id`) REFERENCES `clauses` (`id`) ON DELETE NO ACTION);
-- Create index "indicator_region_path" to table: "indicators"
CREATE INDEX `indicator_region_path` ON `indicators` (`region_path`);
-- Create index "indicator_region_id" to table: "indicators"
CREATE INDEX `indicator_region_id` ON `indicators` (`region_id`);
-- Create index "indicator_version_id_code" to table: "indicators"
CREATE UNIQUE INDEX `indicator_version_id_code` ON `indicators` (`version_id`, `code`);
-- Create index "indicator_clause_id" to table: "indicators"
CREATE INDEX `indicator_clause_id` ON `indicators` (`clause_id`);
-- Create index "indicator_code" to table: "indicators"
CREATE INDEX `indicator_code` ON `indicators` (`code`);
-- Create index "indicator_start_event" to table: "indicators"
CREATE INDEX `indicator_start_event` ON `indicators` (`start_event`);
-- Create index "indicator_stop_event" to table: "indicators"
CREATE INDEX `indicator_stop_event` ON `indicators` (`stop_event`);
-- Create index "indicator_kind" to table: "indicators"
CREATE INDEX `indicator_kind` ON `indicators` (`kind`);
-- Create index "indicator_enabled" to table: "indicators"
CREATE INDEX `indicator_enabled` ON `indicators` (`enabled`);
-- Create "jobs" table
CREATE TABLE `jobs` (`id` text NOT NULL, `created_at` datetime NOT NULL, `kind` text NOT NULL, `args` blob NOT NULL, `state` text NOT NULL DEFAULT ('ready'), `run_at` datetime NOT NULL, `attempt` integer NOT NULL DEFAULT (0), `token` integer NOT NULL DEFAULT (0), `cursor` text NOT NULL DEFAULT (''), `last_error` text NOT NULL DEFAULT (''), PRIMARY KEY (`id`));
-- Create index "job_state_run_at" to table: "jobs"
CREATE INDEX `job_state_run_at` ON `jobs` (`state`, `run_at`);
-- Create index "job_kind" to table: "jobs"
CREATE INDEX `job_kind` ON `jobs` (`kind`);
-- Create "notices" table
CREATE TABLE `notices` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `task_id` text NOT NULL, `channel` text NOT NULL, `recipient` text NOT NULL, `text` text NOT NULL, `state` text NOT NULL DEFAULT ('queued'), `attempts` integer NOT NULL DEFAULT (0), `next_at` datetime NOT NULL, `code` text NOT NULL DEFAULT (''), `receipt` text NOT NULL DEFAULT (''), `reason` text NOT NULL DEFAULT (''), `ended_at` datetime NULL, `region_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `notices_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `notices_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "notice_region_path" to table: "notices"
CREATE INDEX `notice_region_path` ON `notices` (`region_path`);
-- Create index "notice_region_id" to table: "notices"
CREATE INDEX `notice_region_id` ON `notices` (`region_id`);
-- Create index "notice_case_id" to table: "notices"
CREATE INDEX `notice_case_id` ON `notices` (`case_id`);
-- Create index "notice_task_id" to table: "notices"
CREATE INDEX `notice_task_id` ON `notices` (`task_id`);
-- Create index "notice_channel" to table: "notices"
CREATE INDEX `notice_channel` ON `notices` (`channel`);
-- Create index "notice_state_next_at" to table: "notices"
CREATE INDEX `notice_state_next_at` ON `notices` (`state`, `next_at`);
-- Create "optimization_runs" table
CREATE TABLE `optimization_runs` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `base_digest` text NOT NULL, `seed` text NOT NULL, `config` text NOT NULL DEFAULT ('{}'), `state` text NOT NULL DEFAULT ('queued'), `lease_until` datetime NOT NULL, `attempt` integer NOT NULL DEFAULT (0), `permille` integer NOT NULL DEFAULT (0), `message` text NOT NULL DEFAULT (''), `events` integer NOT NULL DEFAULT (0), `log_digest` text NOT NULL DEFAULT (''), `questions` integer NOT NULL DEFAULT (0), `violations` json NOT NULL, `isolation` json NOT NULL, `replay_of` text NOT NULL DEFAULT (''), `as_of` datetime NOT NULL, `replay` text NOT NULL DEFAULT ('none'), `result_digest` text NOT NULL DEFAULT (''), `code` text NOT NULL DEFAULT (''), `detail` text NOT NULL DEFAULT (''), `asked_by` text NOT NULL, `ended_at` datetime NULL, `region_id` text NOT NULL, `plugin_version_id` text NOT NULL, `base_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `optimization_runs_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `optimization_runs_plugin_versions_plugin_version` FOREIGN KEY (`plugin_version_id`) REFERENCES `plugin_versions` (`id`) ON DELETE NO ACTION, CONSTRAINT `optimization_runs_process_versions_base` FOREIGN KEY (`base_id`) REFERENCES `process_versions` (`id`) ON DELETE NO ACTION);
-- Create index "optimizationrun_region_path" to table: "optimization_runs"
CREATE INDEX `optimizationrun_region_path` ON `optimization_runs` (`region_path`);
-- Create index "optimizationrun_region_id" to table: "optimization_runs"
CREATE INDEX `optimizationrun_region_id` ON `optimization_runs` (`region_id`);
-- Create index "optimizationrun_state_lease_until" to table: "optimization_runs"
CREATE INDEX `optimizationrun_state_lease_until` ON `optimization_runs` (`state`, `lease_until`);
-- Create index "optimizationrun_plugin_version_id" to table: "optimization_runs"
CREATE INDEX `optimizationrun_plugin_version_id` ON `optimization_runs` (`plugin_version_id`);
-- Create index "optimizationrun_base_id" to table: "optimization_runs"
CREATE INDEX `optimizationrun_base_id` ON `optimization_runs` (`base_id`);
-- Create "org_units" table
CREATE TABLE `org_units` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `code` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, `parent_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `org_units_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `org_units_org_units_children` FOREIGN KEY (`parent_id`) REFERENCES `org_units` (`id`) ON DELETE SET NULL);
-- Create index "org_units_code_key" to table: "org_units"
CREATE UNIQUE INDEX `org_units_code_key` ON `org_units` (`code`);
-- Create index "orgunit_region_path" to table: "org_units"
CREATE INDEX `orgunit_region_path` ON `org_units` (`region_path`);
-- Create index "orgunit_region_id" to table: "org_units"
CREATE INDEX `orgunit_region_id` ON `org_units` (`region_id`);
-- Create index "orgunit_parent_id" to table: "org_units"
CREATE INDEX `orgunit_parent_id` ON `org_units` (`parent_id`);
-- Create "pauses" table
CREATE TABLE `pauses` (`id` text NOT NULL, `region_path` text NOT NULL, `reason` text NOT NULL, `party` text NOT NULL, `note` text NOT NULL DEFAULT (''), `node_id` text NOT NULL DEFAULT (''), `started_at` datetime NOT NULL, `ended_at` datetime NULL, `by` text NOT NULL, `region_id` text NOT NULL, `clock_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `pauses_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `pauses_clocks_clock` FOREIGN KEY (`clock_id`) REFERENCES `clocks` (`id`) ON DELETE NO ACTION);
-- Create index "pause_region_path" to table: "pauses"
CREATE INDEX `pause_region_path` ON `pauses` (`region_path`);
-- Create index "pause_region_id" to table: "pauses"
CREATE INDEX `pause_region_id` ON `pauses` (`region_id`);
-- Create index "pause_clock_id" to table: "pauses"
CREATE INDEX `pause_clock_id` ON `pauses` (`clock_id`);
-- Create "plugins" table
CREATE TABLE `plugins` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `plugins_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION);
-- Create index "plugins_name_key" to table: "plugins"
CREATE UNIQUE INDEX `plugins_name_key` ON `plugins` (`name`);
-- Create index "plugin_region_path" to table: "plugins"
CREATE INDEX `plugin_region_path` ON `plugins` (`region_path`);
-- Create index "plugin_region_id" to table: "plugins"
CREATE INDEX `plugin_region_id` ON `plugins` (`region_id`);
-- Create "plugin_artifacts" table
CREATE TABLE `plugin_artifacts` (`id` text NOT NULL, `created_at` datetime NOT NULL, `digest` text NOT NULL, `content` blob NOT NULL, `size` integer NOT NULL DEFAULT (0), `stored_by` text NOT NULL DEFAULT (''), PRIMARY KEY (`id`));
-- Create index "plugin_artifacts_digest_key" to table: "plugin_artifacts"
CREATE UNIQUE INDEX `plugin_artifacts_digest_key` ON `plugin_artifacts` (`digest`);
-- Create index "pluginartifact_stored_by" to table: "plugin_artifacts"
CREATE INDEX `pluginartifact_stored_by` ON `plugin_artifacts` (`stored_by`);
-- Create index "pluginartifact_created_at" to table: "plugin_artifacts"
CREATE INDEX `pluginartifact_created_at` ON `plugin_artifacts` (`created_at`);
-- Create "plugin_assignments" table
CREATE TABLE `plugin_assignments` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `topic` text NOT NULL DEFAULT (''), `state` text NOT NULL DEFAULT ('active'), `mode` text NOT NULL, `share_permille` integer NOT NULL DEFAULT (1000), `cohort` text NOT NULL DEFAULT (''), `config` text NOT NULL DEFAULT ('{}'), `inputs` json NOT NULL, `outputs` json NOT NULL, `generation` integer NOT NULL, `previous_version_id` text NOT NULL DEFAULT (''), `previous_config` text NOT NULL DEFAULT (''), `previous_mode` text NOT NULL DEFAULT ('none'), `fallback` text NOT NULL DEFAULT ('human'), `fallback_role` text NOT NULL DEFAULT (''), `attempts` integer NOT NULL DEFAULT (3), `timeout_seconds` integer NOT NULL DEFAULT (30), `concurrency` integer NOT NULL DEFAULT (8), `guard_permille` integer NOT NULL DEFAULT (200), `guard_runs` integer NOT NULL DEFAULT (20), `guards` json NOT NULL, `configs` json NOT NULL, `assigned_by` text NOT NULL, `reason` text NOT NULL DEFAULT (''), `changed_at` datetime NOT NULL, `ended_at` datetime NULL, `region_id` text NOT NULL, `plugin_id` text NOT NULL, `version_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `plugin_assignments_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `plugin_assignments_plugins_plugin` FOREIGN KEY (`plugin_id`) REFERENCES `plugins` (`id`) ON DELETE NO ACTION, CONSTRAINT `plugin_assignments_plugin_versions_version` FOREIGN KEY (`version_id`) REFERENCES `plugin_versions` (`id`) ON DELETE NO ACTION);
-- Create index "pluginassignment_region_path" to table: "plugin_assignments"
CREATE INDEX `pluginassignment_region_path` ON `plugin_assignments` (`region_path`);
-- Create index "pluginassignment_region_id" to table: "plugin_assignments"
CREATE INDEX `pluginassignment_region_id` ON `plugin_assignments` (`region_id`);
-- Create index "pluginassignment_plugin_id_region_id_topic" to table: "plugin_assignments"
CREATE INDEX `pluginassignment_plugin_id_region_id_topic` ON `plugin_assignments` (`plugin_id`, `region_id`, `topic`);
-- Create index "pluginassignment_state_topic" to table: "plugin_assignments"
CREATE INDEX `pluginassignment_state_topic` ON `plugin_assignments` (`state`, `topic`);
-- Create index "pluginassignment_version_id" to table: "plugin_assignments"
CREATE INDEX `pluginassignment_version_id` ON `plugin_assignments` (`version_id`);
-- Create "plugin_runs" table
CREATE TABLE `plugin_runs` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `task_id` text NOT NULL, `mode` text NOT NULL, `attempt` integer NOT NULL, `generation` integer NOT NULL, `input_digest` text NOT NULL, `config_digest` text NOT NULL, `output_digest` text NOT NULL DEFAULT (''), `isolation` json NOT NULL, `outcome` text NOT NULL DEFAULT ('running'), `code` text NOT NULL DEFAULT (''), `detail` text NOT NULL DEFAULT (''), `metrics` json NOT NULL, `micros` integer NOT NULL DEFAULT (0), `ended_at` datetime NULL, `region_id` text NOT NULL, `assignment_id` text NOT NULL, `version_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `plugin_runs_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `plugin_runs_plugin_assignments_assignment` FOREIGN KEY (`assignment_id`) REFERENCES `plugin_assignments` (`id`) ON DELETE NO ACTION, CONSTRAINT `plugin_runs_plugin_versions_version` FOREIGN KEY (`version_id`) REFERENCES `plugin_versions` (`id`) ON DELETE NO ACTION, CONSTRAINT `plugin_runs_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "pluginrun_region_path" to table: "plugin_runs"
CREATE INDEX `pluginrun_region_path` ON `plugin_runs` (`region_path`);
-- Create index "pluginrun_region_id" to table: "plugin_runs"
CREATE INDEX `pluginrun_region_id` ON `plugin_runs` (`region_id`);
-- Create index "pluginrun_assignment_id_outcome" to table: "plugin_runs"
CREATE INDEX `pluginrun_assignment_id_outcome` ON `plugin_runs` (`assignment_id`, `outcome`);
-- Create index "pluginrun_task_id" to table: "plugin_runs"
CREATE INDEX `pluginrun_task_id` ON `plugin_runs` (`task_id`);
-- Create index "pluginrun_case_id" to table: "plugin_runs"
CREATE INDEX `pluginrun_case_id` ON `plugin_runs` (`case_id`);
-- Create index "pluginrun_version_id_outcome" to table: "plugin_runs"
CREATE INDEX `pluginrun_version_id_outcome` ON `plugin_runs` (`version_id`, `outcome`);
-- Create "plugin_versions" table
CREATE TABLE `plugin_versions` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `version` text NOT NULL, `digest` text NOT NULL, `state` text NOT NULL DEFAULT ('verified'), `kinds` json NOT NULL, `topics` json NOT NULL, `attributes` json NOT NULL, `config_schema` text NOT NULL DEFAULT (''), `manifest` text NOT NULL, `key_id` text NOT NULL, `size` integer NOT NULL, `uploaded_by` text NOT NULL, `dev` bool NOT NULL DEFAULT (false), `test_state` text NOT NULL DEFAULT ('none'), `test_input` text NOT NULL DEFAULT (''), `test_lease_until` datetime NOT NULL, `test_attempt` integer NOT NULL DEFAULT (0), `conforms` bool NOT NULL DEFAULT (false), `report` text NOT NULL DEFAULT (''), `isolation` json NOT NULL, `tested_at` datetime NULL, `tested_by` text NOT NULL DEFAULT (''), `approved_by` text NOT NULL DEFAULT (''), `approved_at` datetime NULL, `reason` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, `plugin_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `plugin_versions_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `plugin_versions_plugins_plugin` FOREIGN KEY (`plugin_id`) REFERENCES `plugins` (`id`) ON DELETE NO ACTION);
-- Create index "plugin_versions_digest_key" to table: "plugin_versions"
CREATE UNIQUE INDEX `plugin_versions_digest_key` ON `plugin_versions` (`digest`);
-- Create index "pluginversion_region_path" to table: "plugin_versions"
CREATE INDEX `pluginversion_region_path` ON `plugin_versions` (`region_path`);
-- Create index "pluginversion_region_id" to table: "plugin_versions"
CREATE INDEX `pluginversion_region_id` ON `plugin_versions` (`region_id`);
-- Create index "pluginversion_plugin_id_version" to table: "plugin_versions"
CREATE UNIQUE INDEX `pluginversion_plugin_id_version` ON `plugin_versions` (`plugin_id`, `version`);
-- Create index "pluginversion_state" to table: "plugin_versions"
CREATE INDEX `pluginversion_state` ON `plugin_versions` (`state`);
-- Create index "pluginversion_test_state_test_lease_until" to table: "plugin_versions"
CREATE INDEX `pluginversion_test_state_test_lease_until` ON `plugin_versions` (`test_state`, `test_lease_until`);
-- Create "pools" table
CREATE TABLE `pools` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `code` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `role` text NOT NULL, `size` integer NOT NULL, `calendar_code` text NOT NULL, `finish_over` bool NOT NULL DEFAULT (false), `cost_per_hour_fen` integer NOT NULL DEFAULT (0), `region_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `pools_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION);
-- Create index "pools_code_key" to table: "pools"
CREATE UNIQUE INDEX `pools_code_key` ON `pools` (`code`);
-- Create index "pool_region_path" to table: "pools"
CREATE INDEX `pool_region_path` ON `pools` (`region_path`);
-- Create index "pool_region_id" to table: "pools"
CREATE INDEX `pool_region_id` ON `pools` (`region_id`);
-- Create index "pool_role" to table: "pools"
CREATE INDEX `pool_role` ON `pools` (`role`);
-- Create "processes" table
CREATE TABLE `processes` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `key` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `service_type` text NOT NULL, `region_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `processes_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION);
-- Create index "processes_key_key" to table: "processes"
CREATE UNIQUE INDEX `processes_key_key` ON `processes` (`key`);
-- Create index "process_region_path" to table: "processes"
CREATE INDEX `process_region_path` ON `processes` (`region_path`);
-- Create index "process_region_id" to table: "processes"
CREATE INDEX `process_region_id` ON `processes` (`region_id`);
-- Create index "process_service_type" to table: "processes"
CREATE INDEX `process_service_type` ON `processes` (`service_type`);
-- Create "process_edits" table
CREATE TABLE `process_edits` (`id` text NOT NULL, `created_at` datetime NOT NULL, `version_id` text NOT NULL, `seq` integer NOT NULL, `back` json NOT NULL, `undone` bool NOT NULL DEFAULT (false), `by` text NOT NULL, PRIMARY KEY (`id`));
-- Create index "processedit_version_id_seq" to table: "process_edits"
CREATE UNIQUE INDEX `processedit_version_id_seq` ON `process_edits` (`version_id`, `seq`);
-- Create "process_versions" table
CREATE TABLE `process_versions` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `state` text NOT NULL DEFAULT ('draft'), `author_id` text NOT NULL, `editors` json NOT NULL, `approver_id` text NULL, `published_at` datetime NULL, `digest` text NOT NULL DEFAULT (''), `document` text NOT NULL, `changelog` text NOT NULL DEFAULT (''), `revision` integer NOT NULL DEFAULT (1), `region_id` text NOT NULL, `process_id` text NOT NULL, `parent_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `process_versions_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `process_versions_processes_process` FOREIGN KEY (`process_id`) REFERENCES `processes` (`id`) ON DELETE NO ACTION, CONSTRAINT `process_versions_process_versions_variants` FOREIGN KEY (`parent_id`) REFERENCES `process_versions` (`id`) ON DELETE SET NULL);
-- Create index "processversion_region_path" to table: "process_versions"
CREATE INDEX `processversion_region_path` ON `process_versions` (`region_path`);
-- Create index "processversion_region_id" to table: "process_versions"
CREATE INDEX `processversion_region_id` ON `process_versions` (`region_id`);
-- Create index "processversion_process_id_number" to table: "process_versions"
CREATE UNIQUE INDEX `processversion_process_id_number` ON `process_versions` (`process_id`, `number`);
-- Create index "processversion_parent_id" to table: "process_versions"
CREATE INDEX `processversion_parent_id` ON `process_versions` (`parent_id`);
-- Create index "processversion_state" to table: "process_versions"
CREATE INDEX `processversion_state` ON `process_versions` (`state`);
-- Create "proposals" table
CREATE TABLE `proposals` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `state` text NOT NULL DEFAULT ('open'), `title_zh` text NOT NULL DEFAULT (''), `title_en` text NOT NULL DEFAULT (''), `rationale` text NOT NULL DEFAULT (''), `edits` text NOT NULL, `claims` text NOT NULL DEFAULT ('[]'), `warnings` integer NOT NULL DEFAULT (0), `draft_id` text NOT NULL DEFAULT (''), `judged_by` text NOT NULL DEFAULT (''), `reason` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, `run_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `proposals_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `proposals_optimization_runs_run` FOREIGN KEY (`run_id`) REFERENCES `optimization_runs` (`id`) ON DELETE NO ACTION);
-- Create index "proposal_region_path" to table: "proposals"
CREATE INDEX `proposal_region_path` ON `proposals` (`region_path`);
-- Create index "proposal_region_id" to table: "proposals"
CREATE INDEX `proposal_region_id` ON `proposals` (`region_id`);
-- Create index "proposal_run_id_number" to table: "proposals"
CREATE UNIQUE INDEX `proposal_run_id_number` ON `proposals` (`run_id`, `number`);
-- Create index "proposal_state" to table: "proposals"
CREATE INDEX `proposal_state` ON `proposals` (`state`);
-- Create "qualifications" table
CREATE TABLE `qualifications` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `kind` text NOT NULL, `number` text NOT NULL DEFAULT (''), `valid_from` datetime NOT NULL, `valid_to` datetime NOT NULL, `region_id` text NOT NULL, `staff_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `qualifications_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `qualifications_staffs_staff` FOREIGN KEY (`staff_id`) REFERENCES `staffs` (`id`) ON DELETE NO ACTION);
-- Create index "qualification_region_path" to table: "qualifications"
CREATE INDEX `qualification_region_path` ON `qualifications` (`region_path`);
-- Create index "qualification_region_id" to table: "qualifications"
CREATE INDEX `qualification_region_id` ON `qualifications` (`region_id`);
-- Create index "qualification_staff_id" to table: "qualifications"
CREATE INDEX `qualification_staff_id` ON `qualifications` (`staff_id`);
-- Create index "qualification_kind" to table: "qualifications"
CREATE INDEX `qualification_kind` ON `qualifications` (`kind`);
-- Create index "qualification_valid_to" to table: "qualifications"
CREATE INDEX `qualification_valid_to` ON `qualifications` (`valid_to`);
-- Create "regions" table
CREATE TABLE `regions` (`id` text NOT NULL, `created_at` datetime NOT NULL, `code` text NOT NULL, `region_path` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL, `level` text NOT NULL, `area` text NOT NULL DEFAULT ('any'), `timezone` text NOT NULL DEFAULT ('Asia/Shanghai'), `calendar_code` text NOT NULL DEFAULT ('cn-statutory'), `parent_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `regions_regions_children` FOREIGN KEY (`parent_id`) REFERENCES `regions` (`id`) ON DELETE SET NULL);
-- Create index "regions_code_key" to table: "regions"
CREATE UNIQUE INDEX `regions_code_key` ON `regions` (`code`);
-- Create index "regions_region_path_key" to table: "regions"
CREATE UNIQUE INDEX `regions_region_path_key` ON `regions` (`region_path`);
-- Create index "region_parent_id" to table: "regions"
CREATE INDEX `region_parent_id` ON `regions` (`parent_id`);
-- Create index "region_level" to table: "regions"
CREATE INDEX `region_level` ON `regions` (`level`);
-- Create "role_assignments" table
CREATE TABLE `role_assignments` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `role` text NOT NULL, `valid_from` datetime NOT NULL, `valid_to` datetime NULL, `region_id` text NOT NULL, `staff_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `role_assignments_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `role_assignments_staffs_staff` FOREIGN KEY (`staff_id`) REFERENCES `staffs` (`id`) ON DELETE NO ACTION);
-- Create index "roleassignment_region_path" to table: "role_assignments"
CREATE INDEX `roleassignment_region_path` ON `role_assignments` (`region_path`);
-- Create index "roleassignment_region_id" to table: "role_assignments"
CREATE INDEX `roleassignment_region_id` ON `role_assignments` (`region_id`);
-- Create index "roleassignment_staff_id" to table: "role_assignments"
CREATE INDEX `roleassignment_staff_id` ON `role_assignments` (`staff_id`);
-- Create index "roleassignment_role" to table: "role_assignments"
CREATE INDEX `roleassignment_role` ON `role_assignments` (`role`);
-- Create "service_cases" table
CREATE TABLE `service_cases` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `number` text NOT NULL, `state` text NOT NULL DEFAULT ('active'), `stage` text NOT NULL DEFAULT (''), `outcome` text NOT NULL DEFAULT (''), `title` text NOT NULL DEFAULT (''), `area` text NOT NULL DEFAULT ('any'), `channel` text NOT NULL DEFAULT (''), `variables` json NOT NULL, `engine` json NULL, `flags` json NOT NULL, `revision` integer NOT NULL DEFAULT (0), `ended_at` datetime NULL, `started_by` text NOT NULL, `caller_token` integer NOT NULL DEFAULT (0), `start_key` text NULL, `region_id` text NOT NULL, `process_id` text NOT NULL, `version_id` text NOT NULL, `owner_id` text NULL, `caller_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `service_cases_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `service_cases_processes_process` FOREIGN KEY (`process_id`) REFERENCES `processes` (`id`) ON DELETE NO ACTION, CONSTRAINT `service_cases_process_versions_version` FOREIGN KEY (`version_id`) REFERENCES `process_versions` (`id`) ON DELETE NO ACTION, CONSTRAINT `service_cases_staffs_owner` FOREIGN KEY (`owner_id`) REFERENCES `staffs` (`id`) ON DELETE SET NULL, CONSTRAINT `service_cases_service_cases_called` FOREIGN KEY (`caller_id`) REFERENCES `service_cases` (`id`) ON DELETE SET NULL);
-- Create index "service_cases_number_key" to table: "service_cases"
CREATE UNIQUE INDEX `service_cases_number_key` ON `service_cases` (`number`);
-- Create index "servicecase_region_path" to table: "service_cases"
CREATE INDEX `servicecase_region_path` ON `service_cases` (`region_path`);
-- Create index "servicecase_region_id" to table: "service_cases"
CREATE INDEX `servicecase_region_id` ON `service_cases` (`region_id`);
-- Create index "servicecase_process_id_start_key" to table: "service_cases"
CREATE UNIQUE INDEX `servicecase_process_id_start_key` ON `service_cases` (`process_id`, `start_key`);
-- Create index "servicecase_version_id" to table: "service_cases"
CREATE INDEX `servicecase_version_id` ON `service_cases` (`version_id`);
-- Create index "servicecase_owner_id" to table: "service_cases"
CREATE INDEX `servicecase_owner_id` ON `service_cases` (`owner_id`);
-- Create index "servicecase_caller_id" to table: "service_cases"
CREATE INDEX `servicecase_caller_id` ON `service_cases` (`caller_id`);
-- Create index "servicecase_state" to table: "service_cases"
CREATE INDEX `servicecase_state` ON `service_cases` (`state`);
-- Create index "servicecase_stage" to table: "service_cases"
CREATE INDEX `servicecase_stage` ON `service_cases` (`stage`);
-- Create index "servicecase_channel" to table: "service_cases"
CREATE INDEX `servicecase_channel` ON `service_cases` (`channel`);
-- Create index "servicecase_region_path_state_stage" to table: "service_cases"
CREATE INDEX `servicecase_region_path_state_stage` ON `service_cases` (`region_path`, `state`, `stage`);
-- Create index "servicecase_created_at" to table: "service_cases"
CREATE INDEX `servicecase_created_at` ON `service_cases` (`created_at`);
-- Create "staffs" table
CREATE TABLE `staffs` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `code` text NOT NULL, `name` text NOT NULL, `active` bool NOT NULL DEFAULT (true), `region_id` text NOT NULL, `org_unit_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `staffs_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `staffs_org_units_org_unit` FOREIGN KEY (`org_unit_id`) REFERENCES `org_units` (`id`) ON DELETE SET NULL);
-- Create index "staffs_code_key" to table: "staffs"
CREATE UNIQUE INDEX `staffs_code_key` ON `staffs` (`code`);
-- Create index "staff_region_path" to table: "staffs"
CREATE INDEX `staff_region_path` ON `staffs` (`region_path`);
-- Create index "staff_region_id" to table: "staffs"
CREATE INDEX `staff_region_id` ON `staffs` (`region_id`);
-- Create index "staff_org_unit_id" to table: "staffs"
CREATE INDEX `staff_org_unit_id` ON `staffs` (`org_unit_id`);
-- Create index "staff_active" to table: "staffs"
CREATE INDEX `staff_active` ON `staffs` (`active`);
-- Create "stage_visits" table
CREATE TABLE `stage_visits` (`id` text NOT NULL, `region_path` text NOT NULL, `seq` integer NOT NULL, `stage` text NOT NULL, `reason` text NOT NULL DEFAULT (''), `entered_at` datetime NOT NULL, `left_at` datetime NULL, `region_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `stage_visits_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `stage_visits_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "stagevisit_region_path" to table: "stage_visits"
CREATE INDEX `stagevisit_region_path` ON `stage_visits` (`region_path`);
-- Create index "stagevisit_region_id" to table: "stage_visits"
CREATE INDEX `stagevisit_region_id` ON `stage_visits` (`region_id`);
-- Create index "stagevisit_case_id_seq" to table: "stage_visits"
CREATE UNIQUE INDEX `stagevisit_case_id_seq` ON `stage_visits` (`case_id`, `seq`);
-- Create "standards" table
CREATE TABLE `standards` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `code` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `authority` text NOT NULL, `jurisdiction` text NOT NULL, `sample` bool NOT NULL DEFAULT (false), `region_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `standards_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION);
-- Create index "standards_code_key" to table: "standards"
CREATE UNIQUE INDEX `standards_code_key` ON `standards` (`code`);
-- Create index "standard_region_path" to table: "standards"
CREATE INDEX `standard_region_path` ON `standards` (`region_path`);
-- Create index "standard_region_id" to table: "standards"
CREATE INDEX `standard_region_id` ON `standards` (`region_id`);
-- Create index "standard_authority" to table: "standards"
CREATE INDEX `standard_authority` ON `standards` (`authority`);
-- Create index "standard_jurisdiction" to table: "standards"
CREATE INDEX `standard_jurisdiction` ON `standards` (`jurisdiction`);
-- Create "standard_versions" table
CREATE TABLE `standard_versions` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `state` text NOT NULL DEFAULT ('draft'), `effective_from` datetime NULL, `effective_to` datetime NULL, `author_id` text NOT NULL, `editors` json NOT NULL, `approver_id` text NULL, `published_at` datetime NULL, `digest` text NOT NULL DEFAULT (''), `document` text NOT NULL, `changelog` text NOT NULL DEFAULT (''), `applied_at` datetime NULL, `revision` integer NOT NULL DEFAULT (1), `region_id` text NOT NULL, `standard_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `standard_versions_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `standard_versions_standards_standard` FOREIGN KEY (`standard_id`) REFERENCES `standards` (`id`) ON DELETE NO ACTION);
-- Create index "standardversion_region_path" to table: "standard_versions"
CREATE INDEX `standardversion_region_path` ON `standard_versions` (`region_path`);
-- Create index "standardversion_region_id" to table: "standard_versions"
CREATE INDEX `standardversion_region_id` ON `standard_versions` (`region_id`);
-- Create index "standardversion_standard_id_number" to table: "standard_versions"
CREATE UNIQUE INDEX `standardversion_standard_id_number` ON `standard_versions` (`standard_id`, `number`);
-- Create index "standardversion_state" to table: "standard_versions"
CREATE INDEX `standardversion_state` ON `standard_versions` (`state`);
-- Create "start_timers" table
CREATE TABLE `start_timers` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `binding_id` text NOT NULL, `process_id` text NOT NULL, `version_id` text NOT NULL, `node_id` text NOT NULL, `occurrence` integer NOT NULL, `again` integer NOT NULL, `due_at` datetime NOT NULL, `state` text NOT NULL DEFAULT ('waiting'), `fired_at` datetime NULL, `case_id` text NULL, `error` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `start_timers_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION);
-- Create index "starttimer_region_path" to table: "start_timers"
CREATE INDEX `starttimer_region_path` ON `start_timers` (`region_path`);
-- Create index "starttimer_region_id" to table: "start_timers"
CREATE INDEX `starttimer_region_id` ON `start_timers` (`region_id`);
-- Create index "starttimer_binding_id_node_id_occurrence" to table: "start_timers"
CREATE UNIQUE INDEX `starttimer_binding_id_node_id_occurrence` ON `start_timers` (`binding_id`, `node_id`, `occurrence`);
-- Create index "starttimer_state_due_at" to table: "start_timers"
CREATE INDEX `starttimer_state_due_at` ON `start_timers` (`state`, `due_at`);
-- Create "survey_responses" table
CREATE TABLE `survey_responses` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `score` integer NOT NULL, `comment` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `survey_responses_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `survey_responses_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "surveyresponse_region_path" to table: "survey_responses"
CREATE INDEX `surveyresponse_region_path` ON `survey_responses` (`region_path`);
-- Create index "surveyresponse_region_id" to table: "survey_responses"
CREATE INDEX `surveyresponse_region_id` ON `survey_responses` (`region_id`);
-- Create index "surveyresponse_case_id" to table: "survey_responses"
CREATE INDEX `surveyresponse_case_id` ON `survey_responses` (`case_id`);
-- Create index "surveyresponse_score" to table: "survey_responses"
CREATE INDEX `surveyresponse_score` ON `survey_responses` (`score`);
-- Create "tasks" table
CREATE TABLE `tasks` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `token_seq` integer NOT NULL, `node_id` text NOT NULL, `name_zh` text NOT NULL, `name_en` text NOT NULL DEFAULT (''), `kind` text NOT NULL, `topic` text NOT NULL DEFAULT (''), `role` text NOT NULL DEFAULT (''), `stage` text NOT NULL DEFAULT (''), `state` text NOT NULL DEFAULT ('created'), `priority` integer NOT NULL DEFAULT (0), `required_qualifications` json NOT NULL, `claimed_at` datetime NULL, `started_at` datetime NULL, `completed_at` datetime NULL, `completed_by` text NULL, `assigned_by` text NULL, `delegated_by` text NULL, `signing_mode` text NOT NULL DEFAULT ('all'), `rejections` integer NOT NULL DEFAULT (0), `escalated_to` text NOT NULL DEFAULT (''), `wait_message` text NOT NULL DEFAULT (''), `wait_key` text NOT NULL DEFAULT (''), `wait_payload` text NOT NULL DEFAULT (''), `urges` integer NOT NULL DEFAULT (0), `urged_at` datetime NULL, `follow_up_at` datetime NULL, `lease_by` text NOT NULL DEFAULT (''), `lease_until` datetime NOT NULL, `due_at` datetime NULL, `due_order` datetime NOT NULL, `region_id` text NOT NULL, `case_id` text NOT NULL, `version_id` text NOT NULL, `assignee_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `tasks_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `tasks_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION, CONSTRAINT `tasks_process_versions_version` FOREIGN KEY (`version_id`) REFERENCES `process_versions` (`id`) ON DELETE NO ACTION, CONSTRAINT `tasks_staffs_assignee` FOREIGN KEY (`assignee_id`) REFERENCES `staffs` (`id`) ON DELETE SET NULL);
-- Create index "task_region_path" to table: "tasks"
CREATE INDEX `task_region_path` ON `tasks` (`region_path`);
-- Create index "task_region_id" to table: "tasks"
CREATE INDEX `task_region_id` ON `tasks` (`region_id`);
-- Create index "task_case_id" to table: "tasks"
CREATE INDEX `task_case_id` ON `tasks` (`case_id`);
-- Create index "task_version_id" to table: "tasks"
CREATE INDEX `task_version_id` ON `tasks` (`version_id`);
-- Create index "task_assignee_id" to table: "tasks"
CREATE INDEX `task_assignee_id` ON `tasks` (`assignee_id`);
-- Create index "task_node_id" to table: "tasks"
CREATE INDEX `task_node_id` ON `tasks` (`node_id`);
-- Create index "task_topic_state_due_order_id" to table: "tasks"
CREATE INDEX `task_topic_state_due_order_id` ON `tasks` (`topic`, `state`, `due_order`, `id`);
-- Create index "task_kind" to table: "tasks"
CREATE INDEX `task_kind` ON `tasks` (`kind`);
-- Create index "task_escalated_to" to table: "tasks"
CREATE INDEX `task_escalated_to` ON `tasks` (`escalated_to`);
-- Create index "task_wait_message_wait_key" to table: "tasks"
CREATE INDEX `task_wait_message_wait_key` ON `tasks` (`wait_message`, `wait_key`);
-- Create index "task_region_path_due_order_id" to table: "tasks"
CREATE INDEX `task_region_path_due_order_id` ON `tasks` (`region_path`, `due_order`, `id`) WHERE state IN ('created', 'claimed', 'started', 'signing');
-- Create index "task_due_order_id_region_path" to table: "tasks"
CREATE INDEX `task_due_order_id_region_path` ON `tasks` (`due_order`, `id`, `region_path`) WHERE state IN ('created', 'claimed', 'started', 'signing');
-- Create index "task_role_due_order_id_region_path" to table: "tasks"
CREATE INDEX `task_role_due_order_id_region_path` ON `tasks` (`role`, `due_order`, `id`, `region_path`) WHERE state IN ('created', 'claimed', 'started', 'signing');
-- Create index "task_priority_id_region_path" to table: "tasks"
CREATE INDEX `task_priority_id_region_path` ON `tasks` (`priority` DESC, `id`, `region_path`) WHERE state IN ('created', 'claimed', 'started', 'signing');
-- Create "task_actions" table
CREATE TABLE `task_actions` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `action` text NOT NULL, `by` text NOT NULL, `by_name` text NOT NULL DEFAULT (''), `to` text NOT NULL DEFAULT (''), `to_name` text NOT NULL DEFAULT (''), `reason` text NOT NULL DEFAULT (''), `region_id` text NOT NULL, `case_id` text NOT NULL, `task_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `task_actions_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `task_actions_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION, CONSTRAINT `task_actions_tasks_task` FOREIGN KEY (`task_id`) REFERENCES `tasks` (`id`) ON DELETE NO ACTION);
-- Create index "taskaction_region_path" to table: "task_actions"
CREATE INDEX `taskaction_region_path` ON `task_actions` (`region_path`);
-- Create index "taskaction_region_id" to table: "task_actions"
CREATE INDEX `taskaction_region_id` ON `task_actions` (`region_id`);
-- Create index "taskaction_case_id" to table: "task_actions"
CREATE INDEX `taskaction_case_id` ON `task_actions` (`case_id`);
-- Create index "taskaction_task_id" to table: "task_actions"
CREATE INDEX `taskaction_task_id` ON `task_actions` (`task_id`);
-- Create index "taskaction_action" to table: "task_actions"
CREATE INDEX `taskaction_action` ON `task_actions` (`action`);
-- Create "task_signers" table
CREATE TABLE `task_signers` (`id` text NOT NULL, `region_path` text NOT NULL, `created_at` datetime NOT NULL, `staff_id` text NOT NULL, `staff_code` text NOT NULL, `staff_name` text NOT NULL, `place` text NOT NULL, `seq` integer NOT NULL, `state` text NOT NULL DEFAULT ('asked'), `comment` text NOT NULL DEFAULT (''), `asked_by` text NOT NULL, `signed_at` datetime NULL, `region_id` text NOT NULL, `task_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `task_signers_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `task_signers_tasks_task` FOREIGN KEY (`task_id`) REFERENCES `tasks` (`id`) ON DELETE NO ACTION);
-- Create index "tasksigner_region_path" to table: "task_signers"
CREATE INDEX `tasksigner_region_path` ON `task_signers` (`region_path`);
-- Create index "tasksigner_region_id" to table: "task_signers"
CREATE INDEX `tasksigner_region_id` ON `task_signers` (`region_id`);
-- Create index "tasksigner_task_id" to table: "task_signers"
CREATE INDEX `tasksigner_task_id` ON `task_signers` (`task_id`);
-- Create index "tasksigner_staff_id_state" to table: "task_signers"
CREATE INDEX `tasksigner_staff_id_state` ON `task_signers` (`staff_id`, `state`);
-- Create index "tasksigner_state" to table: "task_signers"
CREATE INDEX `tasksigner_state` ON `task_signers` (`state`);
-- Create "timer_rows" table
CREATE TABLE `timer_rows` (`id` text NOT NULL, `region_path` text NOT NULL, `token_seq` integer NOT NULL, `seq` integer NOT NULL, `node_id` text NOT NULL, `state` text NOT NULL DEFAULT ('waiting'), `due_at` datetime NULL, `due_order` datetime NOT NULL, `fired_at` datetime NULL, `fired_count` integer NOT NULL DEFAULT (0), `region_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `timer_rows_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `timer_rows_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "timerrow_region_path" to table: "timer_rows"
CREATE INDEX `timerrow_region_path` ON `timer_rows` (`region_path`);
-- Create index "timerrow_region_id" to table: "timer_rows"
CREATE INDEX `timerrow_region_id` ON `timer_rows` (`region_id`);
-- Create index "timerrow_case_id" to table: "timer_rows"
CREATE INDEX `timerrow_case_id` ON `timer_rows` (`case_id`);
-- Create index "timerrow_state_due_order" to table: "timer_rows"
CREATE INDEX `timerrow_state_due_order` ON `timer_rows` (`state`, `due_order`);
-- Create index "timerrow_node_id" to table: "timer_rows"
CREATE INDEX `timerrow_node_id` ON `timer_rows` (`node_id`);
-- Create "tokens" table
CREATE TABLE `tokens` (`id` text NOT NULL, `region_path` text NOT NULL, `seq` integer NOT NULL, `node_id` text NOT NULL, `state` text NOT NULL, `scope` integer NOT NULL DEFAULT (0), `wait_name` text NOT NULL DEFAULT (''), `wait_key` text NOT NULL DEFAULT (''), `engine` json NULL, `entered_at` datetime NOT NULL, `region_id` text NOT NULL, `case_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `tokens_regions_region` FOREIGN KEY (`region_id`) REFERENCES `regions` (`id`) ON DELETE NO ACTION, CONSTRAINT `tokens_service_cases_case` FOREIGN KEY (`case_id`) REFERENCES `service_cases` (`id`) ON DELETE NO ACTION);
-- Create index "token_region_path" to table: "tokens"
CREATE INDEX `token_region_path` ON `tokens` (`region_path`);
-- Create index "token_region_id" to table: "tokens"
CREATE INDEX `token_region_id` ON `tokens` (`region_id`);
-- Create index "token_case_id_seq" to table: "tokens"
CREATE UNIQUE INDEX `token_case_id_seq` ON `tokens` (`case_id`, `seq`);
-- Create index "token_node_id" to table: "tokens"
CREATE INDEX `token_node_id` ON `tokens` (`node_id`);
-- Create index "token_wait_name_wait_key" to table: "tokens"
CREATE INDEX `token_wait_name_wait_key` ON `tokens` (`wait_name`, `wait_key`);
