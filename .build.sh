cd /root/wt/P1; nice -n 3 ninja -C build/release -j2 controller_test multinet-controller controller_world_test > /tmp/p1_ctl_build.log 2>&1; echo done >> /tmp/p1_ctl_build.log
