"""The probe: examines how a service treats updates, on one completion that is restored afterwards."""
