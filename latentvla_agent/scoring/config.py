"""Every number of the PDM scores. The values are those of the NAVSIM devkit; nothing else holds a literal of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Tuple

STEP_S = 0.1  # simulation and observation run at 10 Hz
NUM_STEPS = 40  # scored horizon: 4 s
NUM_STATES = NUM_STEPS + 1


@dataclass(frozen=True)
class VehicleConfig:
    """The ego vehicle (Chrysler Pacifica), metres; lengths are measured from the rear axle."""

    width: float = 2.297
    front_length: float = 4.049
    rear_length: float = 1.127
    wheel_base: float = 3.089

    @property
    def half_length(self) -> float:
        """Half the length of the box."""
        return (self.front_length + self.rear_length) / 2.0

    @property
    def half_width(self) -> float:
        """Half the width of the box."""
        return self.width / 2.0

    @property
    def rear_axle_to_center(self) -> float:
        """From the rear axle forward to the box centre."""
        return self.half_length - self.rear_length


@dataclass(frozen=True)
class SimulationConfig:
    """LQR tracker and kinematic bicycle (nuPlan's two-stage controller)."""

    tracking_horizon: int = 10  # steps the tracker looks ahead
    jerk_penalty: float = 1e-4
    curvature_rate_penalty: float = 1e-2
    initial_curvature_penalty: float = 1e-10
    q_velocity: float = 10.0
    r_acceleration: float = 1.0
    q_lateral_error: float = 1.0
    q_heading_error: float = 10.0
    r_steering_rate: float = 1.0
    stopping_gain: float = 0.5
    stopping_speed: float = 0.2  # m/s, below it a P controller replaces the LQR
    max_steering_angle: float = 1.0471975511965976  # pi / 3
    acceleration_time_constant: float = 0.2
    steering_time_constant: float = 0.05


@dataclass(frozen=True)
class PlannerConfig:
    """PDM-Closed as the metric cache uses it: 15 proposals = 3 lateral offsets x 5 target speeds, IDM."""

    lateral_offsets: Tuple[float, ...] = (0.0, -1.0, 1.0)
    speed_limit_fractions: Tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    fallback_speed: float = 15.0  # m/s, where the map has no speed limit
    min_gap: float = 1.0
    headway_s: float = 1.5
    max_acceleration: float = 1.5
    max_deceleration: float = 3.0
    acceleration_exponent: float = 10.0
    num_plan_steps: int = 50  # 5 s; only the first 4 s are scored, but the corridor is longer
    forecast_stride: int = 2  # the forecast and the leading object are updated at 5 Hz
    map_radius: float = 100.0
    max_vehicles: int = 50
    max_pedestrians: int = 25
    max_bicycles: int = 10
    max_static_objects: int = 50


@dataclass(frozen=True)
class RouteConfig:
    """Route correction and centreline search."""

    candidate_radius: float = 1.0
    max_heading_error: float = 0.7853981633974483  # pi / 4
    max_displacement: float = 3.0
    backward_depth: int = 15
    forward_depth: int = 30
    num_forward_targets: int = 3
    loop_overlap_m2: float = 1.0
    centerline_depth: int = 30  # roadblocks


@dataclass(frozen=True)
class MetricConfig:
    """Thresholds of the sub-scores that both versions share."""

    stopped_ego_speed: float = 5e-2  # m/s, collision type
    stopped_track_speed: float = 5e-2
    stopped_ttc_speed: float = 5e-3
    ahead_angle_deg: float = 30.0
    behind_angle_deg: float = 150.0
    ttc_stride: int = 3  # steps between the projections of the ego
    ttc_projections: int = 4  # 0, 0.3, 0.6 and 0.9 s ahead
    driving_direction_window: int = 10  # steps
    driving_direction_compliance: float = 2.0  # m against the direction in one window
    driving_direction_violation: float = 6.0
    min_progress: float = 5.0  # m, below it progress is not compared
    lane_deviation: float = 0.5  # m from the centreline
    lane_deviation_steps: int = 20  # in a row


@dataclass(frozen=True)
class WeightConfig:
    """Weights of the averaged sub-scores. v1.1 has EP, TTC and C; v2.2 has EP, TTC, LK, HC and EC."""

    progress: float = 5.0
    time_to_collision: float = 5.0
    comfort: float = 2.0
    lane_keeping: float = 2.0
    extended_comfort: float = 2.0


@dataclass(frozen=True)
class ComfortConfig:
    """Bounds of the comfort metrics (nuPlan), and of the difference between two plans (v2.2)."""

    min_lon_acceleration: float = -4.05
    max_lon_acceleration: float = 2.40
    max_lat_acceleration: float = 4.89
    max_jerk: float = 8.37
    max_lon_jerk: float = 4.13
    max_yaw_acceleration: float = 1.93
    max_yaw_rate: float = 0.95
    two_frame_acceleration: float = 0.7  # RMS difference
    two_frame_jerk: float = 0.5
    two_frame_yaw_rate: float = 0.1
    two_frame_yaw_acceleration: float = 0.1


@dataclass(frozen=True)
class ScoringConfig:
    """All of the above; its values are part of a metric cache's identity."""

    vehicle: VehicleConfig = field(default_factory=VehicleConfig)
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    route: RouteConfig = field(default_factory=RouteConfig)
    metrics: MetricConfig = field(default_factory=MetricConfig)
    weights: WeightConfig = field(default_factory=WeightConfig)
    comfort: ComfortConfig = field(default_factory=ComfortConfig)


DEFAULT_CONFIG = ScoringConfig()
