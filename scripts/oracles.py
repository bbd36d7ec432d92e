"""What holds each neuron, network, loss, converter and score: a table of tests, which write_papers.py writes down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Oracle:
    """A subject, what it is held against, the tests that do it, and the names of choices that it covers."""

    subject: str
    against: str
    tests: tuple[str, ...]
    covers: tuple[str, ...] = ()


STORED = "plain Python without torch, values and gradients, numbers stored in `tests/released/neurons.json`"
NETS = "our own derivation of the release in plain torch, float64, under the names of its files"
HAND = "values computed by hand"
NEURON = ("test_oracles.py::test_neurons_are_those_of_the_derivation_and_of_the_stored_numbers",)
IMPORTED = ("test_import.py::test_an_imported_network_of_maps_answers_as_the_released_one",)

ORACLES = (
    Oracle("LIF; RMP-Loss's and Joint A-SNN's neuron", STORED, NEURON, ("lif", "leak", "zeros", "binary", "hard",
           "rectangle", "rmp-loss", "joint")),
    Oracle("LIF", "SpikingJelly's node, where it is installed", ("test_neurons.py::test_agrees_with_spikingjelly",)),
    Oracle("ternary spikes, trained amplitude", STORED, NEURON, ("ternary", "ternary-trainable", "scalar")),
    Oracle("Spiking PointNet's neuron, v₀ given", STORED, NEURON, ("spiking-pointnet", "tanh")),
    Oracle("its draws of v₀", HAND, ("test_neurons.py::test_perturbation_adds_at_most_an_eighth_to_the_first_step",
           "test_neurons.py::test_start_noise_is_uniform"), ("perturbed",)),
    Oracle("MPBN's neuron", STORED, NEURON, ("mpbn",)),
    Oracle("soft reset and rectifier", STORED, NEURON, ("soft-reset-mpr", "soft", "rectifier")),
    Oracle("Real Spike's neuron", STORED, NEURON, ("real-spike", "hard-detached", "arctan", "channel")),
    Oracle("integer spikes", STORED, NEURON, ("integer",)),
    Oracle("integer spikes", "the same neuron in binary steps",
           ("test_neuron_parts.py::test_integer_neurons_are_binary_ones_in_more_steps",)),
    Oracle("learned leak, learned threshold, GLIF, evolving surrogate", HAND,
           ("test_neurons.py::test_a_learned_leak_starts_as_the_fixed_one",
            "test_survey.py::test_a_learned_threshold_gets_the_negative_gradient_of_its_membrane",
            "test_survey.py::test_the_soft_reset_subtracts_the_trained_threshold",
            "test_survey.py::test_glif_mixes_its_gates", "test_survey.py::test_the_evolving_surrogate_narrows"),
           ("learned-leak", "learned", "gated", "evolving")),
    Oracle("start by position", HAND, ("test_neuron_parts.py::test_a_start_from_the_position_by_hand",), ("position",)),
    Oracle("element-wise amplitudes and norms", "the same network folded, in float64",
           ("test_reparameterize.py::test_an_amplitude_of_single_neurons_goes_through_means_into_kernels_for_each_place",
            "test_reparameterize.py::test_a_membrane_norm_of_single_neurons_gets_a_threshold_for_each"),
           ("element", "mpbn-element")),
    Oracle("ResNet-20, -19 and VGG-16 of MPBN, Ternary Spike and the soft reset", NETS, IMPORTED,
           ("resnet20", "resnet19", "vgg16")),
    Oracle("Joint A-SNN's ResNet-18", NETS, ("test_import.py::test_joint_becomes_its_spiking_network_alone",),
           ("resnet18",)),
    Oracle("Spiking PointNet", NETS, ("test_import.py::test_spiking_pointnet_answers_as_the_released_one",),
           ("pointnet",)),
    Oracle("points with normals: drawn, turned, stretched", HAND,
           ("test_normals.py::test_points_of_a_cube_have_the_normals_of_its_faces",
            "test_normals.py::test_a_rotation_and_a_mirror_keep_normals_on_their_surface",
            "test_normals.py::test_a_factor_of_all_axes_leaves_directions_and_one_by_axis_turns_them")),
    Oracle("ResNet-34", "its layers and weights, counted by hand",
           ("test_survey.py::test_resnet34_has_its_layers",), ("resnet34",)),
    Oracle("DeLA", "its multiply-adds and second task by hand; no release was run beside it",
           ("test_dela.py::test_multiply_adds_at_full_width_by_hand", "test_dela.py::test_the_second_task_by_hand"),
           ("dela",)),
    Oracle("the ANN", "one network in both forms", ("test_convnets.py::test_with_relus_it_is_the_ann",), ("ann",)),
    Oracle("BNTT, TEBN, SEW and MS blocks", HAND,
           ("test_residuals.py::test_bntt_takes_each_steps_own_statistics_and_has_no_shift",
            "test_residuals.py::test_tebn_scales_each_step_of_one_batch_norm",
            "test_residuals.py::test_a_sew_block_adds_its_spikes",
            "test_residuals.py::test_an_ms_block_adds_membranes")),
    Oracle("tdBN, batch norm by step", HAND,
           ("test_convnets.py::test_tdbn_begins_at_the_threshold_and_less_where_branches_meet",
            "test_released_options.py::test_a_batch_norm_by_step_takes_each_step_by_itself")),
    Oracle("NeuroCLIP's adapter", HAND, ("test_adapter.py::test_a_trajectory_by_hand",
           "test_adapter.py::test_the_adapter_has_the_papers_number_of_parameters")),
    Oracle("cross-entropy, TET, loss of the mean", HAND,
           ("test_survey.py::test_tet_is_the_mean_of_each_steps_loss_and_a_distance_to_one",
            "test_survey.py::test_the_loss_of_the_mean_logits_is_what_was_released")),
    Oracle("RMP-Loss", "values by hand and a true gradient; as recalled, not the paper's code",
           ("test_rmp_loss.py::test_the_distance_is_that_to_0_below_the_threshold_and_to_1_above_it",
            "test_rmp_loss.py::test_the_penalty_has_a_true_gradient")),
    Oracle("IM-Loss, activity loss", HAND, ("test_survey.py::test_im_loss_and_activity_by_hand",)),
    Oracle("loss of Joint A-SNN", HAND, ("test_joint.py::test_the_loss_is_the_papers",)),
    Oracle("distillation", HAND, ("test_distillation.py::test_the_loss_is_that_of_two_softened_answers",)),
    Oracle("orthogonality of T-Nets", HAND, ("test_faithful.py::test_orthogonality_is_of_the_mean_transform",)),
    Oracle("label smoothing and text features as released", HAND,
           ("test_released_options.py::test_smoothing_is_shared_by_the_other_classes",
            "test_released_options.py::test_text_features_of_length_1_as_one_vector_divide_the_logits_by_the_root_of_t")),
    Oracle("folding: combinations of parts (every pair), every paper",
           "the unfolded network: spikes, currents, potentials",
           ("test_reparameterize.py::test_combinations_of_parts_fold_exactly",
            "test_reparameterize.py::test_every_paper_folds_exactly")),
    Oracle("the proof of a fold", "faults put in on purpose",
           ("test_reparameterize.py::test_the_proof_sees_a_leak_that_is_off_by_a_billionth",
            "test_reparameterize.py::test_the_proof_sees_thresholds_that_are_off_by_a_millionth")),
    Oracle("slices and frames of events", HAND, ("test_frames.py::test_frames_by_hand",
           "test_frames.py::test_equal_count_gives_the_last_slice_the_rest")),
    Oracle("pictures of events for CLIP", HAND, ("test_frames.py::test_gray_is_the_papers_canvas",)),
    Oracle("zero-shot scores", "the concatenated inner product of the release",
           ("test_zeroshot.py::test_the_sum_over_steps_is_the_papers_long_inner_product",)),
    Oracle("operations and energy", "NeuroBench 2.3.0, where it is installed, and by hand",
           ("test_neurobench.py::test_counts_are_those_of_the_package",
            "test_neurobench.py::test_operations_by_hand")),
    Oracle("entropy of spikes", HAND, ("test_survey.py::test_entropy_of_levels",)),
    Oracle("McNemar's test, bootstrap, sign flips", HAND,
           ("test_compare.py::test_mcnemar_is_a_binomial_test_of_the_samples_that_differ",
            "test_compare.py::test_the_bootstrap_of_two_samples_by_hand",
            "test_compare.py::test_sign_flips_approach_the_exact_p")),
)  # fmt: skip


def section() -> str:
    """Return the table as a section of docs/papers.md."""
    rows = [f"| {one.subject} | {one.against} | {', '.join(f'`{test}`' for test in one.tests)} |" for one in ORACLES]
    return "\n".join(["| what | held against | tests |", "|---|---|---|", *rows]) + "\n"
