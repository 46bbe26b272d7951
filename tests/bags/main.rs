//! Bags are read as the Python library rosbags reads them, classified reproducibly, and damage is reported while the rest is read.

mod channels;
mod clocks;
mod commands;
mod damage;
mod databases;
mod evaluation;
mod foreign;
mod formats;
mod metadata;
#[path = "../support/mod.rs"]
mod support;
mod writing;

use channels::*;
use clocks::*;
use commands::*;
use damage::*;
use databases::*;
use evaluation::*;
use foreign::*;
use formats::*;
use metadata::*;

support::runner::tests! {
    messages_are_the_same_as_read_by_rosbags needs Torch,
    chunks_of_each_compression_are_read,
    truncated_file_is_read_to_its_end,
    chunk_cut_off_by_the_end_of_the_file_is_read_up_to_there,
    schema_in_a_damaged_chunk_is_found_in_the_summary,
    damaged_chunk_loses_only_its_own_messages_and_they_are_counted,
    unknown_compression_is_named_once_with_the_number_of_messages,
    announced_sizes_are_not_allocated_before_they_are_checked,
    random_changes_to_a_file_never_panic,
    split_bag_is_read_in_order_and_missing_files_are_reported,
    metadata_of_any_version_and_machine_is_matched_without_losses,
    unreadable_metadata_is_reported_and_the_files_are_read,
    metadata_that_is_a_pipe_does_not_block,
    topics_and_counts_are_those_of_the_data,
    channel_without_schema_gets_its_type_from_metadata_or_from_the_user,
    other_encodings_are_named_and_old_type_names_are_images,
    topic_with_several_channels_and_types_is_one_topic,
    summary_that_contradicts_the_data_is_not_believed,
    unusual_times_and_other_records_do_not_hide_messages,
    damaged_database_is_read_except_for_its_damaged_pages,
    view_in_place_of_a_table_is_rejected,
    messages_in_the_journal_of_a_killed_recorder_are_read,
    locked_database_is_read,
    database_that_cannot_be_opened_is_named_where_no_topic_is_found,
    message_above_the_maximum_length_is_lost_and_the_others_are_read,
    topics_without_columns_and_messages_without_topics,
    other_database_is_rejected_with_its_tables,
    corpus_of_damaged_files_is_read_with_bounded_memory,
    something_else_is_named_with_what_helps_by_each_command,
    directory_of_something_else_is_described,
    names_from_a_file_reach_the_terminal_without_control_characters,
    messages_in_another_representation_are_listed_once_with_their_number,
    same_bag_gives_identical_predictions,
    csv_has_a_row_for_each_frame,
    accuracy_below_the_minimum_fails_with_the_accuracy,
    false_thumbs_are_reported_with_the_threshold_that_prevents_them,
    unknown_topic_is_rejected_with_the_known_ones,
    truncated_messages_are_counted_and_the_others_classified,
    stamps_that_jump_or_are_missing_do_not_make_a_gesture_stable_earlier,
    frozen_camera_of_a_bag_is_stale,
    import_uses_the_spelling_of_the_dataset,
    import_saves_one_burst_without_near_duplicates_and_only_once,
    few_frames_are_spread_over_the_bag_and_an_interrupted_import_goes_on,
    frames_of_a_label_are_those_of_its_intervals,
    hard_frames_are_those_that_the_model_does_not_recognize,
    recording_of_thumbs_is_not_imported_as_hard_frames_of_none,
    thumbs_that_a_hand_shows_are_not_imported_as_none needs Photos,
    exported_dataset_is_evaluated_with_its_labels,
    compare_reports_the_frames_on_which_models_differ,
    missing_bag_does_not_prevent_classifying_the_others,
    parts_of_a_list_of_bags_add_up_to_the_whole,
    walkthrough_in_docs_works needs Photos,
}
